import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { clientDefaults } from '../config/clients/options.ts';
import { translated } from './invocation.ts';

/**
 * The outputs of a CloudFormation stack by name.
 * @throws NotFoundError when there is no such stack
 * @throws InvalidConfigurationError when the caller has no credentials or may not describe it;
 * UnavailableError
 */
export async function outputsOfStack(stackName: string, config: object): Promise<Record<string, string>> {
  const client = new CloudFormationClient({ ...clientDefaults(), ...config });
  try {
    const { Stacks: [stack] = [] } = await client.send(new DescribeStacksCommand({ StackName: stackName }));
    return Object.fromEntries(
      (stack?.Outputs ?? []).flatMap(({ OutputKey, OutputValue }) =>
        OutputKey === undefined || OutputValue === undefined ? [] : [[OutputKey, OutputValue]],
      ),
    );
  } catch (error) {
    throw translated(error, `stack ${stackName}`);
  } finally {
    client.destroy();
  }
}
