import { readJsonLines } from '../../cli/json-lines.ts';
import { recordsOf } from '../../cli/records.ts';
import { bodyOf } from '../../functions/personalize/http.ts';
import { exportPeft, importPeft, type PeftFiles } from '../../shared/adapters/peft.ts';
import { AttuneError } from '../../shared/errors.ts';
import { InvalidEventError, parseFeedbackEvent } from '../../shared/feedback/event.ts';
import { LIMITS } from '../../shared/feedback/event-schema.ts';
import { utf8 } from '../../shared/utf8.ts';
import { SETTINGS } from '../support/container.ts';

/** Longest record that the framing target lets through, so that longer ones occur. */
const LONGEST = 200;

/** Records equal those of a plain split at LF, wherever the chunks of a stream end. */
export async function frame(bytes: Uint8Array): Promise<void> {
  const whole = Buffer.from(bytes);
  const expected: string[] = [];
  for (let start = 0; start < whole.length; ) {
    const end = whole.indexOf(0x0a, start);
    const record = whole.subarray(start, end < 0 ? whole.length : end);
    if (record.length > LONGEST) expected.push('too-long');
    else expected.push(record.at(-1) === 0x0d ? record.toString('hex').slice(0, -2) : record.toString('hex'));
    start = end < 0 ? whole.length : end + 1;
  }
  for (const size of bytes.length > 10_000 ? [65_536] : [1, 7, 4_096]) {
    const found: string[] = [];
    for await (const record of recordsOf(chunks(whole, size), LONGEST))
      found.push(record === 'too-long' ? record : Buffer.from(record).toString('hex'));
    if (found.join() !== expected.join())
      throw new Error(`chunks of ${size}: found ${found.join()}, expected ${expected.join()}`);
  }
}

async function* chunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** No reader turns invalid UTF-8 into text, because two ids would become one. */
export async function decode(bytes: Uint8Array, fileOf: (bytes: Uint8Array) => string): Promise<void> {
  const text = utf8(bytes);
  const isUtf8 = Buffer.from(Buffer.from(bytes).toString('utf8')).equals(bytes);
  if (text === undefined ? isUtf8 : !Buffer.from(text).equals(bytes))
    throw new Error(`${isUtf8 ? 'UTF-8' : 'not UTF-8'}, and read as ${text}`);
  const quoted = Buffer.concat([Buffer.from('{"userId":"'), withoutQuotes(bytes), Buffer.from('"}')]);
  const accepted: unknown[] = [];
  for await (const { value } of readJsonLines(fileOf(quoted), AbortSignal.timeout(60_000)))
    if (value !== undefined) accepted.push(value);
  const http = { requestContext: { http: { method: 'POST' } }, isBase64Encoded: true };
  try {
    accepted.push(bodyOf({ ...http, body: quoted.toString('base64') } as never));
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error;
  }
  for (const value of accepted) {
    const { userId } = value as { userId: string };
    if (!Buffer.from(userId).equals(withoutQuotes(bytes))) throw new Error(`read as ${userId}`);
  }
}

/** The bytes within a JSON string, except those that end or escape one. */
function withoutQuotes(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.filter((byte) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c));
}

const matrix = Float32Array.from({ length: 12 }, (_, i) => i / 8);
export const PEFT: PeftFiles = exportPeft({
  basis: { embeddingDim: 6, rank: 2, scale: 0.75, a: matrix },
  b: matrix,
  offset: 0,
});

/** Names of options that do not affect the saved matrices, or only give their size and scale. */
const KNOWN = new Set([
  ...['peft_type', 'r', 'lora_alpha', 'use_rslora', 'rank_pattern', 'alpha_pattern'],
  ...['auto_mapping', 'base_model_name_or_path', 'exclude_modules', 'inference_mode', 'layers_pattern'],
  ...['layers_to_transform', 'lora_dropout', 'peft_version', 'revision', 'target_modules', 'task_type'],
  ...['bias', 'init_lora_weights', 'megatron_core'],
]);

/**
 * An accepted adapter is the plain LoRA that PEFT would load: nothing in its configuration says
 * otherwise.
 */
export function importConfiguration(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString('utf8');
  const { basis } = importPeft({ ...PEFT, 'adapter_config.json': text });
  const config = JSON.parse(text) as Record<string, unknown>;
  for (const [option, value] of Object.entries(config)) {
    const off =
      value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!KNOWN.has(option) && !off) throw new Error(`took ${option} of ${JSON.stringify(value)}`);
  }
  const patterns = [config.rank_pattern, config.alpha_pattern].some(
    (pattern) => Object.keys(pattern ?? {}).length > 0,
  );
  const alpha = config.lora_alpha as number;
  const expected = alpha / (config.use_rslora === true ? Math.SQRT2 : 2);
  if (!patterns && (config.r !== 2 || basis.scale !== expected))
    throw new Error(`scale ${basis.scale}, expected ${expected}`);
}

/** For any content of an envelope, its service is named and no event is read from it. */
export function openEnvelopes(bytes: Uint8Array): void {
  for (const message of inEnvelopes(Buffer.from(bytes).toString('utf8'))) {
    // A longer one is refused for its length.
    if (Buffer.byteLength(message) > LIMITS.messageBytes) continue;
    let refused: unknown;
    try {
      parseFeedbackEvent(message, SETTINGS);
    } catch (error) {
      refused = error;
    }
    if (!(refused instanceof InvalidEventError) || refused.reason !== 'envelope')
      throw new Error(`${message.slice(0, 40)}: ${refused}`);
  }
}

/** Messages as SNS, EventBridge and S3 make them around a body. */
export function inEnvelopes(body: string): string[] {
  const text = JSON.stringify(body);
  return [
    `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:1:t","Message":${text}}`,
    `{"version":"0","id":"i","source":"app","detail-type":"Feedback","detail":${isJson(body) ? body : text}}`,
    `{"Records":[{"eventSource":"aws:s3","s3":{"object":{"key":${text}}}}]}`,
  ];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
