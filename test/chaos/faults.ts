import { createRandom, type Random } from '../../shared/lora/random.ts';

/** What the proxy can do to a request. */
export type RequestFault =
  | 'throttled'
  | 'server-error'
  | 'timeout'
  | 'connection-reset'
  | 'response-lost'
  | 'conflict'
  | 'write-under-way'
  | 'slow'
  | 'kill-before'
  | 'kill-after';

const EVERY_REQUEST: readonly RequestFault[] = [
  'throttled',
  'server-error',
  'timeout',
  'connection-reset',
  'response-lost',
  'slow',
  'kill-before',
  'kill-after',
];

/** Answers of S3 to conditional writes only: 412, and 409 while another write is in progress. */
const CONDITIONAL_WRITE: readonly RequestFault[] = ['conflict', 'write-under-way'];

/** Faults of deliveries, clocks and whole services. */
export type OtherFault =
  | 'delivered-twice-at-once'
  | 'delivered-again-later'
  | 'acknowledgement-lost'
  | 'redelivered'
  | 'bank-down'
  | 'killed-at-random'
  | 'catalogue-writer-died'
  | 'forgotten-in-flight'
  | 'expired-item-visible'
  | 'clock-skewed';

/**
 * Draws faults by seed and counts them. Among those that fit a request, it chooses one of the
 * rarest so far.
 */
export class FaultSchedule {
  readonly counts = new Map<string, number>();
  /** Awaits with a fault, such as `kill-before GET adapters/`. */
  readonly kills = new Map<string, number>();
  readonly random: Random;
  readonly #perOperation = new Map<string, number>();
  readonly #rate: number;
  #calm = false;

  /** @param rate share of requests with a fault */
  constructor(seed: number | string, rate: number) {
    this.random = createRandom(`faults ${seed}`);
    this.#rate = rate;
  }

  /** From now on nothing goes wrong. */
  calmDown(): void {
    this.#calm = true;
  }

  get isCalm(): boolean {
    return this.#calm;
  }

  count(kind: RequestFault | OtherFault, times = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + times);
  }

  /** Whether an event with this probability happens now. */
  happens(probability: number): boolean {
    return !this.#calm && this.random.next() < probability;
  }

  /** @param operation such as `PUT adapters/` or `PutItem` */
  forRequest(operation: string): RequestFault | undefined {
    if (!this.happens(this.#rate)) return undefined;
    const fitting = operation === 'PUT adapters/' ? [...EVERY_REQUEST, ...CONDITIONAL_WRITE] : EVERY_REQUEST;
    const seen = (fault: RequestFault) => this.#perOperation.get(`${fault} ${operation}`) ?? 0;
    const fewest = Math.min(...fitting.map(seen));
    const rarest = fitting.filter((fault) => seen(fault) === fewest);
    const fault = rarest[this.random.integer(rarest.length)]!;
    const name = `${fault} ${operation}`;
    this.#perOperation.set(name, seen(fault) + 1);
    if (fault.startsWith('kill')) this.kills.set(name, (this.kills.get(name) ?? 0) + 1);
    this.count(fault);
    return fault;
  }
}
