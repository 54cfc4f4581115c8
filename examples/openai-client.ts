// The client of OpenAI against `qdylora serve`: the rank is in the model's name.
//   npx qdylora serve runs/smol
//   npx tsx examples/openai-client.ts --question "What is a prime number?"
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import OpenAI from 'openai';

export interface Question {
  /** `http://127.0.0.1:8080/v1` */
  readonly baseURL: string;
  readonly question: string;
  readonly maxTokens?: number;
}

/** Streams the answers of every rank of the server and of the base. Returns them by the model's name. */
export async function askEveryRank(
  { baseURL, question, maxTokens = 64 }: Question,
  write: (text: string) => unknown = (text) => process.stdout.write(text),
): Promise<ReadonlyMap<string, string>> {
  const client = new OpenAI({ baseURL, apiKey: 'none' });
  const answers = new Map<string, string>();
  for await (const { id: model } of client.models.list()) {
    if (!model.includes(':')) continue; // the recommended rank, under its short name
    write(`\n${model}: `);
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: question }],
      max_tokens: maxTokens,
      temperature: 0,
      stream: true,
    });
    let answer = '';
    for await (const { choices } of stream) {
      const piece = choices[0]?.delta.content ?? '';
      write(piece);
      answer += piece;
    }
    answers.set(model, answer);
  }
  return answers;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080/v1' },
      question: { type: 'string', default: 'What is a prime number?' },
    },
  });
  await askEveryRank({ baseURL: values.url, question: values.question });
}
