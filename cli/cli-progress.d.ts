/** The parts of cli-progress that the command line uses. The package has no declarations. */
declare module 'cli-progress' {
  class SingleBar {
    constructor(options: {
      format: string;
      stream: NodeJS.WritableStream;
      hideCursor?: boolean;
      barsize?: number;
      clearOnComplete?: boolean;
    });
    start(total: number, startValue: number): void;
    setTotal(total: number): void;
    update(value: number): void;
    stop(): void;
  }
  const cliProgress: { SingleBar: typeof SingleBar };

  export type { SingleBar };
  export default cliProgress;
}
