import { startDeployment } from './consolidation/deployment.ts';

const t = performance.now();
const lap = (s: string) => process.stdout.write(`${s} ${((performance.now() - t) / 1000).toFixed(1)}\n`);
const d = await startDeployment({ dim: 768, users: 250 });
lap('started');
await d.feedback(100000);
lap('filled');
for (const more of [0, 0, 1000]) {
  if (more) await d.feedback(more);
  process.stdout.write(JSON.stringify(await d.consolidate()) + '\n');
  lap('run');
}
await d.stop();
