/** Runs a local stack until it is killed. Arguments: assembly folder and data folder. */
import { LocalStack } from '../../../infra/local/local-stack.ts';

const [assemblyDir = '', dataDir = ''] = process.argv.slice(2);
const stack = await LocalStack.start({
  assemblyDir,
  dataDir,
  recordLogs: (_, line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify({ outputs: stack.outputs, endpoints: stack.endpoints })}\n`);
