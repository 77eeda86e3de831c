import { Duration, Validations } from 'aws-cdk-lib';
import { type FunctionUrl, FunctionUrlAuthType } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import { READ_ACTIONS } from './adapter-bucket.ts';
import { AttuneFunction } from './attune-function.ts';
import type { DeploymentProps } from './deployment-props.ts';

export interface PersonalizeProps extends DeploymentProps {
  readonly hasUrl: boolean;
}

/**
 * The function that scores candidates and recommends items of the catalogue for a user. Its URL
 * requires an IAM signature.
 */
export class Personalize extends AttuneFunction {
  readonly url: FunctionUrl | undefined;

  constructor(scope: Construct, id: string, props: PersonalizeProps) {
    super(scope, id, {
      ...props,
      folder: 'personalize',
      description: 'scores and recommends items for a user',
      timeout: Duration.seconds(10),
      memorySize: props.settings.personalizeMemory,
    });
    props.adapters.allowObjects(this, READ_ACTIONS, [
      PREFIX.adapters,
      PREFIX.basis,
      PREFIX.skills,
      PREFIX.catalogue,
    ]);
    props.adapters.allowListing(this);
    Validations.of(this).acknowledge({
      id: 'Serverless-LambdaDLQ',
      reason: 'It only runs synchronously, so callers see an error and can retry.',
    });
    props.encryptionKey?.grant(this, 'kms:Decrypt');
    this.url = props.hasUrl ? this.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM }) : undefined;
  }
}
