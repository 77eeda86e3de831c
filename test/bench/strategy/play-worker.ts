import { doJobs } from '../threads.ts';
import { playOnce } from './play.ts';

doJobs(playOnce);
