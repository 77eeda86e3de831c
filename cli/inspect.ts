import { Command } from 'commander';
import { AdapterStore } from '../shared/adapters/adapter-store.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { userKey } from '../shared/config/user-key.ts';
import { NotFoundError } from '../shared/errors.ts';
import { printJson, printLine } from './output.ts';
import { resourceName } from './stack-outputs.ts';

interface InspectOptions {
  bucket?: string;
  outputs?: string;
  json?: boolean;
}

/** `attune inspect`: what is known of a user's adapter, without its weights. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description("show a user's adapter: its version, what it has learned from, and whether that helped")
    .argument('<user>', 'the user id')
    .option('--bucket <name>', 'the bucket of the adapters')
    .option('--outputs <file>', 'take the bucket from the file of cdk deploy --outputs-file')
    .option('--json', 'print it as one line of JSON')
    .action(inspect);
}

async function inspect(user: string, options: InspectOptions): Promise<void> {
  const bucket = await resourceName(options.bucket, options.outputs, OUTPUT.bucketName, '--bucket');
  const [{ s3Client }, { ObjectStore }] = await Promise.all([
    import('../shared/config/clients/s3.ts'),
    import('../shared/storage/objects.ts'),
  ]);
  const client = s3Client();
  try {
    const loaded = await new AdapterStore(new ObjectStore(client, bucket)).load(userKey(user));
    if (loaded === undefined) throw new NotFoundError(`user ${user}: found no adapter in ${bucket}`);
    const { adapter } = loaded;
    const { record, learner } = adapter.state;
    const ranking = adapter.state.learner === 'bayesian' ? adapter.state.picks?.ranking : undefined;
    const mean = (sum: number) => (record.count === 0 ? null : sum / record.count);
    const facts = {
      userKey: adapter.userKey,
      version: adapter.version,
      createdAt: new Date(adapter.createdAt).toISOString(),
      updatedAt: new Date(adapter.updatedAt).toISOString(),
      learner,
      rank: adapter.rank,
      embeddingDim: adapter.embeddingDim,
      embeddingModel: adapter.embeddingModel,
      skillsVersion: adapter.skillsVersion,
      rewards: record.count,
      loss: mean(record.adapterLoss),
      lossWithoutAdapter: mean(record.userMeanLoss),
      lossOfWarmStart: mean(record.warmStartLoss),
      picksRanked: ranking?.count ?? 0,
      meanPickPercentile: ranking && ranking.count > 0 ? 0.5 + ranking.excess / ranking.count : null,
    };
    if (options.json) return printJson(facts);
    for (const [name, value] of Object.entries(facts)) printLine(`${name.padEnd(20)}${value ?? '–'}`);
  } finally {
    client.destroy();
  }
}
