import { fileURLToPath } from 'node:url';

/** Whether this is a clone of the repository, and not the installed package. */
export const IS_CLONE = import.meta.url.endsWith('.ts');

/** The folder of cdk.json: the clone, or the folder in which the installed command runs. */
export const PROJECT = IS_CLONE ? fileURLToPath(new URL('..', import.meta.url)) : process.cwd();

/** Without them there is no stack to synthesize or deploy; whoever only calls one needs none. */
export const INSTALL_CDK = 'npm install --save-dev aws-cdk aws-cdk-lib constructs';

/** The CDK app. */
export const APP = fileURLToPath(new URL(IS_CLONE ? '../infra/app.ts' : '../infra/app.js', import.meta.url));
