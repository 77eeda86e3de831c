/** What a function instance is told when it starts. */
export interface WorkerData {
  readonly modulePath: string;
  readonly exportName: string;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memoryMb: number;
}

/** One invocation; `payload` is JSON text, `limitMs` the function's timeout. */
export interface ToInstance {
  readonly payload: string;
  readonly requestId: string;
  readonly limitMs: number;
}

/** An error as Lambda reports it in the payload of a failed invocation. */
export interface FunctionFailure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export type FromInstance =
  | { readonly type: 'ready' }
  | { readonly type: 'line'; readonly line: string }
  | { readonly type: 'result'; readonly payload: string }
  | { readonly type: 'error'; readonly error: FunctionFailure };

/** What came of an invocation: `payload` is JSON text, the error's when `failed`. */
export interface InvocationResult {
  readonly requestId: string;
  readonly failed: boolean;
  readonly payload: string;
}
