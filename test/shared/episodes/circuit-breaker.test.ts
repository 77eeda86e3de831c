import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CircuitBreaker } from '../../../shared/episodes/circuit-breaker.ts';
import { InvalidInputError, UnavailableError } from '../../../shared/errors.ts';

const hang = () => new Promise<never>(() => {});
const fail = () => Promise.reject(new Error('down'));
const answer = async () => 'answer';

describe('the guard of a bank', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('passes on the answers of the bank, and leaves no timer behind', async () => {
    expect(await new CircuitBreaker().call('read', answer)).toBe('answer');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['read', 250],
    ['write', 1000],
  ] as const)('gives a %s up after %i ms', async (kind, deadline) => {
    const call = new CircuitBreaker().call(kind, hang);
    const outcome = vi.fn();
    call.catch(outcome);
    await vi.advanceTimersByTimeAsync(deadline - 1);
    expect(outcome).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(outcome).toHaveBeenCalledWith(expect.any(UnavailableError));
  });

  it('opens after consecutive failures, and then refuses without a call', async () => {
    const guard = new CircuitBreaker({ failuresToOpen: 3 });
    const call = vi.fn(fail);
    for (let i = 0; i < 2; i++) await expect(guard.call('read', call)).rejects.toThrow('down');
    await guard.call('read', answer);
    for (let i = 0; i < 3; i++) await expect(guard.call('read', call)).rejects.toThrow('down');
    expect(guard.state).toBe('open');
    call.mockClear();
    await expect(guard.call('write', call)).rejects.toThrow(UnavailableError);
    expect(call).not.toHaveBeenCalled();
  });

  it('lets one call through after a while, and closes or opens again by it', async () => {
    const guard = new CircuitBreaker({ failuresToOpen: 1, coolDownMs: 1000 });
    await expect(guard.call('read', fail)).rejects.toThrow('down');
    vi.advanceTimersByTime(1000);
    expect(guard.state).toBe('half-open');
    const { promise, reject } = Promise.withResolvers<never>();
    const probe = guard.call('read', () => promise);
    await expect(guard.call('read', answer)).rejects.toThrow(UnavailableError);
    reject(new Error('still down'));
    await expect(probe).rejects.toThrow('still down');
    expect(guard.state).toBe('open');
    vi.advanceTimersByTime(1000);
    await guard.call('read', answer);
    expect(guard.state).toBe('closed');
  });

  it('does not count permanent errors', async () => {
    const guard = new CircuitBreaker({ failuresToOpen: 1 });
    const refuse = () => Promise.reject(new InvalidInputError('k', '0', 'more'));
    await expect(guard.call('read', refuse)).rejects.toThrow(InvalidInputError);
    expect(guard.state).toBe('closed');
  });

  it('counts a call that throws synchronously as a failure', async () => {
    const guard = new CircuitBreaker({ failuresToOpen: 1 });
    const broken = (): Promise<never> => {
      throw new TypeError('not a bank');
    };
    await expect(guard.call('read', broken)).rejects.toThrow('not a bank');
    expect(guard.state).toBe('open');
  });
});
