import type { Command } from 'commander';

interface Entry {
  readonly name: string;
  readonly description: string;
  /** Loads the code of the command: a function that adds its arguments, options and action. */
  readonly load: () => Promise<(command: Command) => void>;
}

/** All commands. Only the one that runs is loaded, because loading takes longer than most answers. */
export const COMMANDS: readonly Entry[] = [
  {
    name: 'init',
    description:
      'write settings to cdk.json, for the local stack and every cdk command; without options, show all settings',
    load: async () => (await import('./init.ts')).initCommand,
  },
  {
    name: 'local',
    description:
      'run the whole stack on this machine; replay feedback through it and rank held-out items, or leave it empty for your own data',
    load: async () => (await import('./local.ts')).localCommand,
  },
  {
    name: 'publish',
    description: 'publish interactions, given as JSON lines, to the feedback queue',
    load: async () => (await import('./publish.ts')).publishCommand,
  },
  {
    name: 'personalize',
    description: 'rank candidate items, given as JSON lines, for a user',
    load: async () => (await import('./personalize.ts')).personalizeCommand,
  },
  {
    name: 'recommend',
    description: 'show the best items of the catalogue for a user, or items similar to an item',
    load: async () => (await import('./recommend.ts')).recommendCommand,
  },
  {
    name: 'catalogue',
    description: 'the items that attune recommend chooses from',
    load: async () => (await import('./catalogue.ts')).catalogueCommand,
  },
  {
    name: 'basis',
    description: 'the directions that all adapters share',
    load: async () => (await import('./basis.ts')).basisCommand,
  },
  {
    name: 'model',
    description: 'what all users share: the basis and the population model',
    load: async () => (await import('./model.ts')).modelCommand,
  },
  {
    name: 'inspect',
    description:
      "show a user's adapter: version, feedback learned, prediction losses, and with --outputs what is served",
    load: async () => (await import('./inspect.ts')).inspectCommand,
  },
  {
    name: 'history',
    description: "list the stored versions of a user's adapter, newest first",
    load: async () => (await import('./history.ts')).historyCommand,
  },
  {
    name: 'rollback',
    description:
      "make a new version of a user's adapter from an earlier one; with --outputs, show what is served then",
    load: async () => (await import('./rollback.ts')).rollbackCommand,
  },
  {
    name: 'export',
    description: 'write everything stored about a user into a folder',
    load: async () => (await import('./export.ts')).exportCommand,
  },
  {
    name: 'forget',
    description: 'remove everything stored about a user, check that it is gone, and print a receipt',
    load: async () => (await import('./forget.ts')).forgetCommand,
  },
  {
    name: 'dlq',
    description: 'handle messages that had no effect: dead letters, quarantine and failed consolidations',
    load: async () => (await import('./dlq.ts')).dlqCommand,
  },
  {
    name: 'backup',
    description:
      'write the newest version of every object and every item of the table into a folder; attune restore reads it',
    load: async () => (await import('./backup.ts')).backupCommand,
  },
  {
    name: 'restore',
    description:
      'restore lost data from a backup, from another table, or from the versions before a deletion. Forgotten users stay forgotten; you can interrupt it and run it again',
    load: async () => (await import('./restore.ts')).restoreCommand,
  },
  {
    name: 'uplift',
    description: 'measure the effect of adapters on the newest episodes',
    load: async () => (await import('./uplift.ts')).upliftCommand,
  },
  {
    name: 'consolidate',
    description:
      'consolidate now: turn the episodes since the last consolidation, up to ten seconds ago, into the population model',
    load: async () => (await import('./consolidate.ts')).consolidateCommand,
  },
  {
    name: 'deploy',
    description: 'deploy the stack with the settings of cdk.json, through cdk deploy',
    load: async () => (await import('./deploy.ts')).deployCommand,
  },
  {
    name: 'doctor',
    description:
      'check a deployment: credentials, region, resources, quotas, permissions, settings and a round trip',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'cost',
    description:
      'estimate the monthly AWS bill of a load, next to other services; docs/cost.md lists the sources',
    load: async () => (await import('./cost.ts')).costCommand,
  },
  {
    name: 'policy',
    description: 'print the IAM policy that a command needs, as JSON',
    load: async () => (await import('./policy.ts')).policyCommand,
  },
];
