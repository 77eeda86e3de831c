import { Attune } from 'attune/cdk';
import { App, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';

const app = new App();
const stack = new Stack(app, 'Shop');

/** The role of an application that sends feedback and asks for recommendations. */
const application = new Role(stack, 'Application', {
  assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
});
const operators = new Topic(stack, 'Operators', { enforceSSL: true });
operators.grantPublish(new ServicePrincipal('cloudwatch.amazonaws.com'));

const films = new Attune(stack, 'Films', {
  embeddingDim: 384,
  embeddingModel: 'text-small',
  rank: 8,
  alarmTopic: operators,
});
films.grantPublish(application);
films.grantPersonalize(application);
films.addOutputs();

/** A second one in the same stack, for embeddings of another model. */
const books = new Attune(stack, 'Books', {
  embeddingDim: 768,
  embeddingModel: 'text-large',
  alarms: false,
  dashboard: false,
});
books.grantPublish(application);
books.grantPersonalize(application);
