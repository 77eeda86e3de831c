import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { InvalidConfigurationError } from '../../shared/errors.ts';
import { parseConfiguration } from '../../shared/validation/faults.ts';
import type { Template } from './template.ts';

/** A synthesized CDK app with one stack. */
export interface Assembly {
  readonly stackName: string;
  readonly template: Template;
  /**
   * The folder of a file asset.
   * @param objectKey key in the asset bucket, such as `<hash>.zip`
   * @throws InvalidConfigurationError when the assembly has no such asset
   */
  assetFolder(objectKey: string): string;
}

const manifestSchema = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      properties: z
        .object({ templateFile: z.string().optional(), stackName: z.string().optional() })
        .optional(),
    }),
  ),
});

const assetsSchema = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.object({ path: z.string() }),
      destinations: z.record(z.string(), z.object({ objectKey: z.string() })),
    }),
  ),
});

/**
 * Reads the output of `cdk synth`.
 * @param dir the output folder, usually `cdk.out`
 * @throws InvalidConfigurationError unless the folder is an assembly with exactly one stack
 */
export async function readAssembly(dir: string): Promise<Assembly> {
  const manifest = await readJson(join(dir, 'manifest.json'), manifestSchema);
  const stacks = Object.entries(manifest.artifacts).filter(([, a]) => a.type === 'aws:cloudformation:stack');
  const [first] = stacks;
  if (first === undefined || stacks.length > 1) {
    throw new InvalidConfigurationError(`${dir}: found ${stacks.length} stacks, expected exactly one`);
  }
  const [artifactId, { properties }] = first;
  const template = await readJson(
    join(dir, properties?.templateFile ?? `${artifactId}.template.json`),
    templateSchema,
  );
  const assets = await readJson(join(dir, `${artifactId}.assets.json`), assetsSchema);
  const folders = new Map<string, string>();
  for (const file of Object.values(assets.files)) {
    for (const { objectKey } of Object.values(file.destinations)) {
      folders.set(objectKey, resolve(dir, file.source.path));
    }
  }
  return {
    stackName: properties?.stackName ?? artifactId,
    template,
    assetFolder(objectKey) {
      const folder = folders.get(objectKey);
      if (folder === undefined) {
        throw new InvalidConfigurationError(
          `${dir}: found no asset ${objectKey}, expected the asset that the template refers to`,
        );
      }
      return folder;
    },
  };
}

const templateSchema: z.ZodType<Template> = z.object({
  Resources: z.record(
    z.string(),
    z.object({
      Type: z.string(),
      Properties: z.record(z.string(), z.unknown()).exactOptional(),
      DependsOn: z.union([z.string(), z.array(z.string())]).exactOptional(),
      Condition: z.string().exactOptional(),
    }),
  ),
  Outputs: z.record(z.string(), z.object({ Value: z.unknown() })).exactOptional(),
  Parameters: z.record(z.string(), z.object({ Default: z.unknown().exactOptional() })).exactOptional(),
});

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new InvalidConfigurationError(`${path}: found no readable JSON, expected the output of cdk synth`, {
      cause: error,
    });
  }
  return parseConfiguration(schema, content, { source: path });
}
