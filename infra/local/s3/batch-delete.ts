import { authorizeDeletion, deleteKey } from './objects.ts';
import type { Operation } from './operation.ts';
import { notImplemented, S3Error } from './s3-error.ts';
import { elements, unescapeText, type XmlTree, xmlDocument } from './xml.ts';

/** S3's limit of keys per request. */
const MAX_KEYS = 1000;

export const deleteObjects: Operation = {
  name: 'DeleteObjects',
  method: 'POST',
  on: 'bucket',
  selector: ['delete', ''],
  query: ['delete'],
  headers: ['content-md5', 'x-amz-checksum-*', 'x-amz-decoded-content-length', 'x-amz-trailer'],
  run(call) {
    const xml = call.body.bytes.toString();
    const objects = elements(xml, 'Object').map((object) => {
      const [key] = elements(object, 'Key');
      const [versionId] = elements(object, 'VersionId');
      for (const condition of ['ETag', 'LastModifiedTime', 'Size']) {
        if (elements(object, condition).length > 0) throw notImplemented(`DeleteObjects with ${condition}`);
      }
      if (key === undefined || key === '') throw malformed();
      return { key: unescapeText(key), versionId: versionId === undefined ? null : unescapeText(versionId) };
    });
    if (objects.length === 0 || objects.length > MAX_KEYS) throw malformed();
    const quiet = elements(xml, 'Quiet')[0] === 'true';
    const outcomes = call.table.transaction(() =>
      objects.map(({ key, versionId }) => {
        try {
          authorizeDeletion(call, key, versionId);
          const version = deleteKey(call, key, versionId);
          return { deleted: deletedElement(key, versionId, version) };
        } catch (error) {
          if (!(error instanceof S3Error)) throw error;
          return {
            failed: { Key: key, VersionId: versionId ?? undefined, Code: error.code, Message: error.message },
          };
        }
      }),
    );
    return {
      status: 200,
      body: xmlDocument('DeleteResult', {
        Deleted: quiet ? [] : outcomes.flatMap(({ deleted }) => (deleted === undefined ? [] : [deleted])),
        Error: outcomes.flatMap(({ failed }) => (failed === undefined ? [] : [failed])),
      }),
    };
  },
};

const malformed = () =>
  new S3Error(
    400,
    'MalformedXML',
    `The XML you provided is not a list of 1 to ${MAX_KEYS} objects, each with a key.`,
  );

function deletedElement(
  key: string,
  versionId: string | null,
  version: ReturnType<typeof deleteKey>,
): XmlTree {
  return {
    Key: key,
    VersionId: versionId ?? undefined,
    ...(version?.deleteMarker ? { DeleteMarker: true, DeleteMarkerVersionId: version.versionId } : {}),
  };
}
