import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { settingsFromContext } from '../shared/config/settings.ts';
import { Attune } from './attune.ts';
import type { AttuneProps } from './attune-props.ts';

export interface AttuneStackProps extends StackProps {
  /** Settings of the CDK context, not yet validated. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Attune in a stack of its own.
 * @throws InvalidConfigurationError naming every setting that is unknown or out of range
 */
export class AttuneStack extends Stack {
  constructor(scope: Construct, id: string, { settings, ...props }: AttuneStackProps) {
    const { stackName } = settingsFromContext(settings);
    super(scope, id, {
      description: 'Attune: a LoRA adapter for every user, learned online from feedback',
      stackName,
      ...props,
    });
    // CDK leaves the id 'Default' out of logical ids, so that they equal those of earlier versions,
    // in which the stack held the resources itself.
    const { stackName: _, ...properties } = settings;
    new Attune(this, 'Default', properties as AttuneProps).addOutputs();
  }
}
