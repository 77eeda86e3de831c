/** Runs a local stack of the assembly and data folder given as arguments, until it is killed. */
import { LocalStack } from '../../../infra/local/local-stack.ts';

const [assemblyDir = '', dataDir = ''] = process.argv.slice(2);
const stack = await LocalStack.start({
  assemblyDir,
  dataDir,
  recordLogs: (_, line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify({ outputs: stack.outputs, endpoints: stack.endpoints })}\n`);
