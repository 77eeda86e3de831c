// Imported before everything else: other modules use what an older Node does not have as soon as they are loaded.
const OLDEST = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST) {
  process.stderr.write(`attune needs Node ${OLDEST} or newer, found ${process.version}\n`);
  process.exit(2);
}
