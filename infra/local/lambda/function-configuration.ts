/** A function as the template configures it. */
export interface FunctionConfiguration {
  readonly name: string;
  readonly arn: string;
  /** Folder of the bundled code. */
  readonly codeFolder: string;
  /** Such as `index.handler`: the export `handler` of `index.mjs`. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  /** How many events it may run at the same time. */
  readonly concurrency: number;
}
