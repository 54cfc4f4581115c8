import './page-globals.ts';
import { planInPage, type PlanRequest } from './plan-in-page.ts';
import { answerRequests } from './worker-requests.ts';

answerRequests((request: PlanRequest) => planInPage(request));
