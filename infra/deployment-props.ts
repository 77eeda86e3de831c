import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import type { AdapterBucket } from './adapter-bucket.ts';
import type { AttuneFunctionProps } from './attune-function.ts';

/** Properties of all functions of a deployment. */
export interface DeploymentProps extends Pick<AttuneFunctionProps, 'environment' | 'network'> {
  readonly settings: DeploymentSettings;
  readonly encryptionKey: IKey | undefined;
  readonly adapters: AdapterBucket;
}
