/**
 * One consolidation in a separate process, like a cold function; sends its report and its costs to
 * the parent.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  type ConsolidationReport,
  consolidate,
} from '../../../functions/consolidate-patterns/consolidate.ts';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../../shared/config/settings.ts';
import { DynamoEpisodeStore } from '../../../shared/episodes/dynamodb-episode-store.ts';
import { cellOf } from '../../../shared/episodes/episode.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import { learningObjects } from '../../../shared/population/shared-learning.ts';
import { Lease } from '../../../shared/storage/lease.ts';
import { ObjectStore } from '../../../shared/storage/objects.ts';
import { localDynamoDb, localS3Client } from '../../support/local-clients.ts';
import { countUnits, type Units } from '../bank/table.ts';
import { countRequests, type S3Requests } from './s3-requests.ts';

export interface RunOptions {
  readonly s3: string;
  readonly dynamodb: string;
  readonly settings: FunctionSettings;
}

export interface MeasuredRun {
  readonly report: ConsolidationReport;
  /** Seconds of the run, without the start of the process. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Largest resident set of the process, and its part from before the run. */
  readonly peakMb: number;
  readonly startMb: number;
  readonly s3: S3Requests;
  readonly dynamodb: Units;
}

process.once('message', (options: RunOptions) => {
  run(options).then((measured) => {
    process.send?.(measured);
    process.disconnect();
  });
});

async function run({ s3, dynamodb, settings }: RunOptions): Promise<MeasuredRun> {
  const s3Client = localS3Client(s3);
  const dynamoClient = localDynamoDb(dynamodb);
  const requests = countRequests(s3Client);
  const units = countUnits(dynamoClient);
  const objects = new ObjectStore(s3Client, settings.bucket);
  const cell = cellOf(settings);
  const startMb = peakMb();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const report = await consolidate(
    {
      cell,
      settings,
      learning: learningObjects(objects, settings),
      adapters: new AdapterStore(objects),
      episodes: new DynamoEpisodeStore(dynamoClient, {
        table: settings.table,
        ttlDays: settings.episodeTtlDays,
      }),
      pending: new PendingEpisodes(objects),
      lease: new Lease(objects, cell),
      now: Date.now,
      onCorrupt: (error) => {
        throw error;
      },
    },
    { force: false, settleSeconds: 0 },
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    report,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakMb: peakMb(),
    startMb,
    s3: requests,
    dynamodb: units,
  };
}

/**
 * Linux counts this program alone; maxRSS also includes the parent's memory from before this
 * program was loaded.
 */
function peakMb(): number {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return Number(kilobytes ?? process.resourceUsage().maxRSS) / 1024;
}
