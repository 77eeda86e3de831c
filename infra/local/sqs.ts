import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type BuildAppOptions, buildApp } from 'fauxqs';
import { ACCOUNT_ID, REGION } from './environment.ts';
import { eraseRemains } from './erase-remains.ts';
import { AccessDenied, type Authorize, accessKeyOf } from './iam/permissions.ts';
import { portError } from './listen.ts';

type Stores = NonNullable<BuildAppOptions['stores']>;
type SqsStore = Stores['sqsStore'];
type FauxqsPersistence = NonNullable<SqsStore['persistence']>;

/** A queue of fauxqs. */
export type Queue = ReturnType<SqsStore['createQueue']>;

interface SqsStoreClass {
  new (): SqsStore;
  createMessage(body: string): Parameters<Queue['enqueue']>[0];
}

/** A local SQS: fauxqs in this process. Pollers access its queues directly. */
export interface LocalSqs {
  readonly endpoint: string;
  /** Creates the queue, or sets the attributes of an existing one. */
  ensureQueue(name: string, attributes: Readonly<Record<string, string>>): Queue;
  queueByArn(arn: string): Queue | undefined;
  /** Sends a message to a standard queue. */
  send(queue: Queue, body: string): void;
  close(): Promise<void>;
}

/**
 * Starts SQS on the loopback interface.
 *
 * `startFauxqs` of fauxqs listens on every interface of the machine, so this function assembles the
 * parts itself. The package does not export them, so it loads them by file name.
 *
 * @param dataDir folder for queues and messages; default: in memory
 * @throws InvalidConfigurationError when the port is in use
 */
export async function startSqs(options: {
  dataDir?: string;
  port?: number;
  authorize?: Authorize;
}): Promise<LocalSqs> {
  const SqsStore = await load<SqsStoreClass>('./sqs/sqsStore.js', 'SqsStore');
  const SnsStore = await load<new () => Stores['snsStore']>('./sns/snsStore.js', 'SnsStore');
  const S3Store = await load<new () => Stores['s3Store']>('./s3/s3Store.js', 'S3Store');
  await acceptAllCharacters();
  const sqsStore = new SqsStore();
  const stores: Stores = { sqsStore, snsStore: new SnsStore(), s3Store: new S3Store() };
  const app = buildApp({ logger: false, defaultRegion: REGION, stores });
  if (options.authorize !== undefined) checkCalls(app, options.authorize);
  const port = options.port ?? 0;
  const disk = options.dataDir === undefined ? undefined : await openDisk(options.dataDir);
  const close = async () => {
    await app.close();
    disk?.close();
  };
  const endpoint = await app.listen({ port, host: '127.0.0.1' }).catch(async (error: unknown) => {
    await close();
    throw portError(error, 'sqs', port);
  });
  const urlOf = (name: string) => `${endpoint}/${ACCOUNT_ID}/${name}`;
  if (disk !== undefined) {
    disk.prepare(urlOf);
    disk.persistence.loadSqsAndSns(sqsStore, stores.snsStore);
    sqsStore.persistence = disk.persistence;
    for (const queue of sqsStore.allQueues()) queue.persistence = disk.persistence;
  }

  return {
    endpoint,
    ensureQueue(name, attributes) {
      const arn = `arn:aws:sqs:${REGION}:${ACCOUNT_ID}:${name}`;
      const existing = sqsStore.getQueueByArn(arn);
      if (existing === undefined) return sqsStore.createQueue(name, urlOf(name), arn, { ...attributes });
      existing.setAttributes({ ...attributes });
      return existing;
    },
    queueByArn: (arn) => sqsStore.getQueueByArn(arn),
    send: (queue, body) => queue.enqueue(SqsStore.createMessage(body)),
    close,
  };
}

/** Refuses calls without permission before fauxqs handles them. */
function checkCalls(app: ReturnType<typeof buildApp>, authorize: Authorize): void {
  app.addHook('preHandler', (request, reply, done) => {
    const action = /^AmazonSQS\.(\w+?)(Batch)?$/.exec(String(request.headers['x-amz-target']))?.[1];
    const { QueueUrl = '', QueueName = '*' } = (request.body ?? {}) as Partial<Record<string, string>>;
    const name = QueueUrl === '' ? QueueName : QueueUrl.split('/').at(-1);
    try {
      if (action !== undefined) {
        authorize({
          accessKeyId: accessKeyOf(request.headers.authorization),
          action: `sqs:${action}`,
          resource: `arn:aws:sqs:${REGION}:${ACCOUNT_ID}:${name}`,
        });
      }
      done();
    } catch (error) {
      if (!(error instanceof AccessDenied)) throw error;
      reply
        .status(403)
        .header('content-type', 'application/x-amz-json-1.0')
        .send({ __type: 'com.amazonaws.sqs#AccessDeniedException', message: error.message });
    }
  });
}

/**
 * Opens the SQLite file of fauxqs: its own persistence, and a second connection for what fauxqs
 * does not support.
 */
async function openDisk(dataDir: string) {
  mkdirSync(dataDir, { recursive: true });
  const Persistence = await load<new (dataDir: string) => FauxqsPersistence>(
    './persistence.js',
    'PersistenceManager',
  );
  const persistence = new Persistence(dataDir);
  // The connection that deletes messages; deleted rows are overwritten.
  const { db } = persistence as unknown as { readonly db: DatabaseSync };
  db.exec('PRAGMA secure_delete = ON');
  const database = new DatabaseSync(join(dataDir, 'fauxqs.db'));
  eraseRemains(database);
  const release = 'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL';
  const releaseOne = database.prepare(`${release} WHERE message_id = ?`);
  // fauxqs 2.4 sets the receive count to NULL here. Its own schema forbids that, and the message is
  // lost.
  persistence.updateMessageReady = (messageId) => {
    releaseOne.run(messageId);
  };
  return {
    persistence,
    prepare(urlOf: (queueName: string) => string) {
      // The consumers of in-flight messages ended with the previous process, so these messages
      // become visible.
      database.exec(release);
      // The port may differ from the previous start.
      const move = database.prepare('UPDATE sqs_queues SET url = ? WHERE name = ?');
      for (const { name } of database.prepare('SELECT name FROM sqs_queues').all()) {
        move.run(urlOf(String(name)), String(name));
      }
    },
    close() {
      database.close();
      persistence.close();
    },
  };
}

/** fauxqs 2.4 refuses U+10000 to U+10FFFF, which SQS documents as valid. */
async function acceptAllCharacters(): Promise<void> {
  const invalid = await load<RegExp>('./sqs/sqsTypes.js', 'INVALID_MESSAGE_BODY_CHAR');
  invalid.test = (body) => Array.from(body, (character) => character.codePointAt(0)!).some(isInvalid);
}

/**
 * The characters that SQS documents: #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD |
 * #x10000-#x10FFFF.
 */
function isInvalid(code: number): boolean {
  if (code < 0x20) return code !== 0x9 && code !== 0xa && code !== 0xd;
  return (code >= 0xd800 && code <= 0xdfff) || code === 0xfffe || code === 0xffff;
}

async function load<T>(file: string, className: string): Promise<T> {
  const module: Record<string, T> = await import(new URL(file, import.meta.resolve('fauxqs')).href);
  const found = module[className];
  if (found === undefined) throw new Error(`fauxqs: found no ${className} in ${file}`);
  return found;
}
