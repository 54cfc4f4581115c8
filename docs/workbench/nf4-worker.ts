import './page-globals.ts';
import { nf4Facts, type Nf4Request } from './nf4-facts.ts';
import { answerRequests } from './worker-requests.ts';

answerRequests(async (request: Nf4Request) => nf4Facts(request));
