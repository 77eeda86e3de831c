/** The configuration of a function instance at its start. */
export interface WorkerData {
  readonly modulePath: string;
  readonly exportName: string;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memoryMb: number;
}

/** One invocation: `payload` is JSON text, `limitMs` is the function's timeout. */
export interface ToInstance {
  readonly payload: string;
  readonly requestId: string;
  readonly limitMs: number;
}

/** The error in the payload of a failed invocation, in Lambda's format. */
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

/** The result of an invocation. `payload` is JSON text: the answer, or the error when `failed`. */
export interface InvocationResult {
  readonly requestId: string;
  readonly failed: boolean;
  readonly payload: string;
}
