/** An error response of the S3 protocol. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  /** S3's error code, such as `NoSuchKey`. The SDK uses it as the name of the exception. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export const invalidArgument = (message: string) => new S3Error(400, 'InvalidArgument', message);

/**
 * The server refuses what it does not support instead of ignoring it, so that no caller relies on
 * it.
 */
export const notImplemented = (what: string) =>
  new S3Error(501, 'NotImplemented', `the local S3 does not implement ${what}`);

export const noSuchKey = (headers: Readonly<Record<string, string>> = {}) =>
  new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', headers);

export const preconditionFailed = (header: string) =>
  new S3Error(412, 'PreconditionFailed', `The condition of the header ${header} was not met.`);
