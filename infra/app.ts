import { InvalidConfigurationError } from '../shared/errors.ts';
import { synthesize } from './synth.ts';

try {
  synthesize();
} catch (error) {
  if (!(error instanceof InvalidConfigurationError)) throw error;
  process.stderr.write(`attune: ${error.message}\n`);
  process.exitCode = 2;
}
