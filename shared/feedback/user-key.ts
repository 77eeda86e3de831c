export { userKey } from '../runtime/user-key.ts';
