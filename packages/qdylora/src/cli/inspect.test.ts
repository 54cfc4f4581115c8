import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../test/run-command.ts';
import { joined, tinyCommands } from '../../test/tiny-commands.ts';
import { writeTinyModel } from '../../test/tiny-model.ts';

const { folder, model, rows, train } = tinyCommands();

beforeAll(async () => {
  await command(...train, '--output-dir', folder.in('run'));
});

describe('inspect', () => {
  it('tells a checkpoint from an adapter, and shows a row with its mask', async () => {
    expect((await command('inspect', model)).out).toMatch(/architecture +llama/);
    expect((await command('inspect', folder.in('run/adapter'))).out).toMatch(/ranks +1 2 4/);
    expect(await command('inspect')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/Name a checkpoint, an adapter, or --dataset rows\.jsonl\./) as string,
    });
    expect((await command('inspect', '--data', rows, '--row', '2')).out).toMatch(
      /row 2, tokens: 6 tokens, the loss counts 4 \(in ⟦ ⟧\) · .*rows\.jsonl:2\n10 13⟦ 16 19 22 25⟧/,
    );
  });

  it('says, as train does, what was meant where they are given rows, or the folder of a run', async () => {
    expect(await command('inspect', rows)).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        joined(
          /rows\.jsonl is a file of rows, not a model or an adapter\.\n/,
          /Show rows with npx qdylora inspect --dataset .*rows\.jsonl\. Add --model/,
        ),
      ) as string,
    });
    expect(await command('inspect', folder.in('run'))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is the folder of a run, .*\nName its result: .*run\/adapter\./) as string,
    });
    const [state] = readdirSync(folder.in('run/checkpoints'));
    expect(await command('inspect', folder.in(`run/checkpoints/${state}`))).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        /a checkpoint that a run resumes from, not a model or an adapter.*\nThe .* is in its output_dir/,
      ) as string,
    });
    expect(await command('train', folder.in('run'))).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        joined(
          /This is a folder, not a run file\.\n/,
          /It is the folder of a run: name .*run\/run\.yaml, with --resume-from-checkpoint auto/,
        ),
      ) as string,
    });
  });

  it(
    'shows several rows, those that training leaves out too, with the weight of every token: as ' +
      'text, JSON and a page',
    async () => {
      const odd = folder.in('odd.jsonl');
      const page = folder.in('rows.html');
      writeFileSync(
        odd,
        '{"input_ids":[5,6,7,8],"labels":[-100,-100,7,8]}\n' +
          '{"input_ids":[5,6],"labels":[-100,-100]}\n{"input_ids":[9,8]}\n',
      );
      const { out } = await command('inspect', '--data', odd, '--rows', '2', '--max-seq-length', '3');
      expect(out).toMatch(
        joined(
          /3 tokens, the loss counts 1 \(in ⟦ ⟧\), 1 more cut off \(1 of them answer\).*\n5 6⟦ 7⟧\n\n/,
          /row 2, .*counts 0.*\nleft out of training: every label is masked\n5 6/,
        ),
      );
      const { rows: shown } = JSON.parse(
        (await command('inspect', '--data', odd, '--rows', '9', '--json')).out,
      ) as { rows: { tokens: { id: number; weight: number }[]; dropped: string | null }[] };
      expect(shown.map(({ tokens, dropped }) => [tokens.map(({ weight }) => weight), dropped])).toEqual([
        [[0, 0, 1, 1], null],
        [[0, 0], 'every label is masked'],
        [[0, 1], null],
      ]);
      expect((await command('inspect', '--data', odd, '--html', page)).code).toBe(0);
      expect(readFileSync(page, 'utf8')).toMatch(
        /<span title="token 2, id 7, weight 1" class="counted">7<\/span>/,
      );
    },
  );

  it('of an unknown architecture lists the known ones', async () => {
    const { code, out } = await command('inspect', writeTinyModel(folder.in('bert')), '--json');
    const { dtypes, bytes } = JSON.parse(out) as { dtypes: unknown; bytes: number };
    expect(dtypes).toEqual([{ dtype: 'F32', bytes }]);
    expect(code).toBe(0);
    writeFileSync(folder.in('bert/config.json'), JSON.stringify({ model_type: 'bert' }));
    const refused = await command('inspect', folder.in('bert'), '--json');
    expect([refused.code, JSON.parse(refused.out), out.length > 0]).toEqual([
      2,
      {
        error: expect.objectContaining({
          name: 'UnsupportedArchitectureError',
          code: 'UNSUPPORTED_ARCHITECTURE',
        }) as object,
      },
      true,
    ]);
  });
});
