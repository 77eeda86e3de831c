import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidConfigurationError } from '../../shared/errors.ts';

/**
 * Starts a server on the loopback interface only.
 *
 * @param service name for the error message, such as `sqs`
 * @param port 0 selects a free port
 * @returns the endpoint, such as `http://127.0.0.1:4566`
 * @throws InvalidConfigurationError when the port is in use or not permitted
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

/**
 * Finds out whether servers can listen on these ports, before a start does work that takes long.
 * @param ports by service
 * @throws what {@link listen} throws
 */
export async function checkFree(ports: Readonly<Record<string, number>>): Promise<void> {
  for (const [service, port] of Object.entries(ports)) {
    const server = createServer();
    await listen(server, service, port);
    await closeServer(server);
  }
}

/**
 * Converts a failure to listen on a port into an error that names the port; returns other errors
 * unchanged.
 */
export function portError(error: unknown, service: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const found =
    code === 'EADDRINUSE' ? 'in use by another program' : code === 'EACCES' ? 'not permitted' : '';
  if (found === '') return error;
  return new InvalidConfigurationError(
    `port ${port} for ${service}: found it ${found}, expected a free port (0 selects one)`,
    { cause: error },
  );
}

/** Stops the server and closes all connections. */
export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
