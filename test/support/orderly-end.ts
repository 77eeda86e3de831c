/**
 * Vitest ends its workers with SIGTERM. Only with a handler do they run what is registered for
 * their exit, which removes folders and ends processes, and keep what they compiled.
 */
if (process.listenerCount('SIGTERM') === 0) process.once('SIGTERM', () => process.exit());
