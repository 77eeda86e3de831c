import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidConfigurationError } from '../../shared/errors.ts';

/**
 * Listens on the loopback interface only.
 *
 * @param service name of the service for the error message, such as `sqs`
 * @param port 0 lets the system choose a free one
 * @returns the endpoint, such as `http://127.0.0.1:4566`
 * @throws InvalidConfigurationError when the port is in use or may not be used
 */
export async function listen(server: Server, service: string, port: number): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw portError(error, service, port);
  }
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a failed attempt to listen means to the user: the port is taken, or not theirs to use. */
export function portError(error: unknown, service: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const found =
    code === 'EADDRINUSE' ? 'in use by another program' : code === 'EACCES' ? 'not permitted' : '';
  if (found === '') return error;
  return new InvalidConfigurationError(
    `port ${port} for ${service}: found it ${found}, expected a free port (0 chooses one)`,
    { cause: error },
  );
}

/** Stops listening, ends connections that are still open, and waits until all are gone. */
export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
