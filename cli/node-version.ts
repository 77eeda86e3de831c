// Imported first, because other modules use features that an older Node lacks as soon as they load.
const OLDEST = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST) {
  process.stderr.write(`attune needs Node ${OLDEST} or newer, found ${process.version}\n`);
  process.exit(2);
}
