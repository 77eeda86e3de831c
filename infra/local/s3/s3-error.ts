/** An error reply of the S3 protocol: what `GET`, `PUT` and the others answer instead of a result. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  /** S3's own code, such as `NoSuchKey`; the SDK makes it the name of the exception. */
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

/** What this server does not do is refused by name, never ignored: a caller must not believe it has happened. */
export const notImplemented = (what: string) =>
  new S3Error(501, 'NotImplemented', `the local S3 does not implement ${what}`);

export const noSuchKey = (headers: Readonly<Record<string, string>> = {}) =>
  new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', headers);

export const preconditionFailed = (header: string) =>
  new S3Error(412, 'PreconditionFailed', `The condition of the header ${header} did not hold.`);
