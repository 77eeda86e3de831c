/** The configuration of a function in the template. */
export interface FunctionConfiguration {
  readonly name: string;
  /** Its role; undefined for a function that may do everything. */
  readonly role?: string | undefined;
  readonly arn: string;
  /** Folder with the bundled code. */
  readonly codeFolder: string;
  /** For example, `index.handler` is the export `handler` of `index.mjs`. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The environment variables of the template alone. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  /** Maximum number of concurrent events. */
  readonly concurrency: number;
}
