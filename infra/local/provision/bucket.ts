import { z } from 'zod';
import { count, ignored, type Provisioner, parseProperties, physicalName } from './resource.ts';

const rule = z.strictObject({
  Id: ignored,
  Status: z.enum(['Enabled', 'Disabled']),
  Prefix: z.string().default(''),
  TagFilters: z.tuple([z.strictObject({ Key: z.string(), Value: z.string() })]).optional(),
  ExpirationInDays: count.optional(),
  NoncurrentVersionExpiration: z
    .strictObject({ NoncurrentDays: count, NewerNoncurrentVersions: count.optional() })
    .optional(),
  // The local S3 has no multipart uploads, and a delete marker without versions costs nothing.
  AbortIncompleteMultipartUpload: ignored,
  ExpiredObjectDeleteMarker: ignored,
});

const schema = z.strictObject({
  BucketName: z.string().optional(),
  VersioningConfiguration: z.strictObject({ Status: z.enum(['Enabled', 'Suspended']) }).optional(),
  LifecycleConfiguration: z.strictObject({ Rules: z.array(rule) }).optional(),
  BucketEncryption: ignored,
  OwnershipControls: ignored,
  PublicAccessBlockConfiguration: ignored,
  Tags: ignored,
});

/** AWS::S3::Bucket */
export const bucket: Provisioner = (resource, services) => {
  const properties = parseProperties(schema, resource);
  const name = properties.BucketName ?? physicalName(services, resource.logicalId, 63).toLowerCase();
  const rules = (properties.LifecycleConfiguration?.Rules ?? []).filter(({ Status }) => Status === 'Enabled');
  services.s3.createBucket(name, {
    versioned: properties.VersioningConfiguration?.Status === 'Enabled',
    expirations: rules.flatMap(({ ExpirationInDays: days, ...rule }) =>
      days === undefined ? [] : [{ ...scopeOf(rule), days }],
    ),
    noncurrentExpirations: rules.flatMap(({ NoncurrentVersionExpiration: expiration, ...rule }) => {
      if (expiration === undefined) return [];
      const keepNewest = expiration.NewerNoncurrentVersions;
      return [
        {
          ...scopeOf(rule),
          days: expiration.NoncurrentDays,
          ...(keepNewest === undefined ? {} : { keepNewest }),
        },
      ];
    }),
  });
  const domain = `${name}.s3.amazonaws.com`;
  return { ref: name, attributes: { Arn: `arn:aws:s3:::${name}`, DomainName: domain } };
};

function scopeOf({ Prefix: prefix, TagFilters }: Pick<z.output<typeof rule>, 'Prefix' | 'TagFilters'>) {
  const [tag] = TagFilters ?? [];
  return { prefix, ...(tag === undefined ? {} : { tag: `${tag.Key}=${tag.Value}` }) };
}
