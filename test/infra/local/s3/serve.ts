/** A server in a process of its own, to be killed: prints its endpoint and stays. Argument: the data folder. */
import { startS3 } from '../../../../infra/local/s3/server.ts';

const [dataDir = ''] = process.argv.slice(2);
const server = await startS3({ dataDir });
server.createBucket('durable', { versioned: true });
process.stdout.write(`${server.endpoint}\n`);
