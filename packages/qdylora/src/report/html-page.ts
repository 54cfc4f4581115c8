import { html, type Html } from './html.ts';
import { REPORT_STYLE } from './report-style.ts';

/** A content security policy that forbids scripts and all external resources. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

export interface PageParts {
  readonly title: string;
  readonly body: Html;
  /** CSS besides that of the report. */
  readonly style?: string;
}

/** One HTML file in the style of the report, which needs neither network nor script. */
export const htmlPage = ({ title, body, style = '' }: PageParts): string =>
  `${
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${title}</title>
          <style>
            ${{ html: REPORT_STYLE + style }}
          </style>
        </head>
        <body>
          <main>
            ${body}
          </main>
        </body>
      </html>`.html
  }\n`;
