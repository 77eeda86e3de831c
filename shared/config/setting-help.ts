import type { DeploymentSettings } from './settings.ts';

/** Description of each setting, for the person who chooses it. */
export const SETTING_HELP: Readonly<Record<keyof DeploymentSettings, string>> = {
  embeddingDim: "length of the application's embeddings, 16 to 4096; users start anew after a change",
  embeddingModel: 'name of the model of the embeddings; events with another one are refused',
  rank: 'rank of the adapters, 1 to 64; users start anew after a change',
  scalingFactor:
    "LoRA's alpha: an adapter adds (scalingFactor / rank)·B·A·x; users start anew after a change",
  learner: 'bayesian or sgd; users start anew after a change',
  learningRate: 'learning rate of the learner sgd',
  exploration: 'share of users who train with other learning rates, 0 to 0.5; learner sgd only',
  episodeTtlDays: 'days until an episode in the ReasoningBank expires',
  transfer: 'on or off: whether users profit from others',
  holdout: 'share of users served without adapter, to measure the effect of adapters, 0 to 0.5',
  consolidationSchedule: 'when consolidation runs: rate(...) or cron(...)',
  maxConcurrency: 'batches of feedback that are applied at the same time, 2 to 1000',
  updateMemory: 'MB of the function update-adapters',
  personalizeMemory: 'MB of the function personalize',
  consolidateMemory: 'MB of the function consolidate-patterns',
  tableMaxReadUnits: 'most read request units per second of the table',
  tableMaxWriteUnits: 'most write request units per second of the table',
  logRetentionDays: 'days of log retention',
  removalPolicy: 'retain or destroy: whether bucket and table are deleted with the stack',
  url: 'true or false: whether personalize has a URL; default: where Lambda has function URLs',
  alarms: 'true or false: whether there are alarms',
  dashboard: 'true or false: whether there is a dashboard',
  stackName: 'name of the CloudFormation stack',
  alarmEmail: 'address that receives alarms',
  monthlyBudget: 'monthly cost of the account in US dollars above which alarmEmail is warned',
};
