import { defineAsyncComponent } from 'vue';
import type { Theme } from 'vitepress';
import DefaultTheme from 'vitepress/theme-without-fonts';
import RankCurve from './components/RankCurve.vue';
import { showTypes } from './show-types.ts';
import './generated/report.css';
import './style.css';
import './types.css';

/**
 * The interactive parts are loaded by the pages that have them. A part must not be called as its page is
 * (nested-ranks.md, NestedRanks): the search would render the page inside itself.
 */
export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    if (!import.meta.env.SSR) showTypes();
    app.component('RankCurve', RankCurve);
    app.component(
      'FitPlanner',
      defineAsyncComponent(() => import('./components/FitPlanner.vue')),
    );
    app.component(
      'Nf4Playground',
      defineAsyncComponent(() => import('./components/Nf4Playground.vue')),
    );
    app.component(
      'RankSlider',
      defineAsyncComponent(() => import('./components/RankSlider.vue')),
    );
    app.component(
      'ReportViewer',
      defineAsyncComponent(() => import('./components/ReportViewer.vue')),
    );
    app.component(
      'TryIt',
      defineAsyncComponent(() => import('./components/TryIt.vue')),
    );
  },
} satisfies Theme;
