export { userKey } from '../config/user-key.ts';
