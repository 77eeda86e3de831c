import { Duration, Validations } from 'aws-cdk-lib';
import { type FunctionUrl, FunctionUrlAuthType } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import type { AdapterBucket } from './adapter-bucket.ts';
import { AttuneFunction } from './attune-function.ts';

export interface PersonalizeProps {
  readonly environment: Record<string, string>;
  readonly adapters: AdapterBucket;
}

/**
 * The function that scores candidates and recommends items of the catalogue for a user, with a URL that requires an IAM signature.
 */
export class Personalize extends AttuneFunction {
  readonly url: FunctionUrl;

  constructor(scope: Construct, id: string, props: PersonalizeProps) {
    super(scope, id, {
      folder: 'personalize',
      description: 'scores and recommends items for a user',
      timeout: Duration.seconds(10),
      memorySize: 512,
      environment: props.environment,
    });
    props.adapters.allowObjects(
      this,
      ['s3:GetObject'],
      [PREFIX.adapters, PREFIX.basis, PREFIX.skills, PREFIX.catalogue],
    );
    props.adapters.allowListing(this);
    Validations.of(this).acknowledge({
      id: 'Serverless-LambdaDLQ',
      reason: 'It only runs synchronously, so callers see an error and can retry.',
    });
    this.url = this.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
  }
}
