// Generated from the keys (keys.ts) by scripts/write-run-options.ts: do not edit.

/** The options of a run. Every key may be left out; null, where it is allowed, means the same. */
export interface RunOptions {
  /**
   * Base model: a folder, a .safetensors or .gguf file, or a name on the hub (org/name[@revision]),
   * which is downloaded.
   */
  readonly model?: string | null;
  /**
   * config.json of a model that starts from random weights (method none); its tokenizer.json is in the
   * same folder.
   */
  readonly init?: string | null;
  /**
   * cpu: C++ kernels; cuda: an NVIDIA GPU; host: TypeScript only; auto: the fastest that works on this
   * machine (default: auto).
   */
  readonly backend?: 'auto' | 'cpu' | 'cuda' | 'host';
  /**
   * Type of the operands of matrix products; f16 trains with dynamic loss scaling; auto: bf16 where the
   * processor has instructions for it, f16 on a GPU without them (default: auto).
   */
  readonly computeDtype?: 'auto' | 'f32' | 'bf16' | 'f16';
  /** Threads of the kernels; all processors by default. Results do not depend on it. */
  readonly numThreads?: number | null;
  /**
   * Use one kernel per op for any number of rows, so that a token has the same bits alone and in a
   * batch; slower generation (default: false).
   */
  readonly batchInvariant?: boolean;
  /** Seed of all random numbers (default: 0). */
  readonly seed?: number;
  /** Seed of the order of the rows; seed by default. The held-out rows depend on seed alone. */
  readonly dataSeed?: number | null;
  /** Preset for quantization and ranks; none: full training (default: qdylora). */
  readonly method?: 'qdylora' | 'dylora' | 'qlora' | 'lora' | 'none';
  /** paper: one rank a step, scale alpha/b, alpha 16 (QDyLoRA as published). */
  readonly preset?: 'paper' | null;
  /** Storage of the frozen matrices (default: nf4). */
  readonly quantization?: 'nf4' | 'fp4' | 'none';
  /** Quantize the block scales to 8 bits too (default: true). */
  readonly doubleQuantization?: boolean;
  /** Weights that share one scale (default: 64). */
  readonly quantizationBlockSize?: number;
  /**
   * Bits a weight at which the frozen matrices are used: 4 (nf4), 3 (the same codes, fewer values), 8 (a
   * second nf4 matrix for what the first leaves over). `level_schedule` says how several are used
   * (default: 4).
   */
  readonly quantizationLevels?: readonly number[];
  /**
   * Level of each step. distilled: 4 bits (without 4 the most); in every second step a further pass at
   * another level learns from the largest rank; sampled: of two steps one at 4 bits, one at another;
   * descending: from most bits to fewest; feedback: fewer bits after each evaluation that does not
   * improve. By default distilled where the run distils, else sampled.
   */
  readonly levelSchedule?: 'distilled' | 'sampled' | 'descending' | 'feedback' | null;
  /**
   * Folder of an adapter to start from. The run has its layers, ranks, scale, dropout and storage of the
   * base unless a key says otherwise.
   */
  readonly adapter?: string | null;
  /**
   * Folder of the checkpoint (checkpoints/step-150) whose optimizer state the rows of adapter start
   * with. Without it the moments start at 0.
   */
  readonly optimizerState?: string | null;
  /** The largest rank (default: 64). */
  readonly loraR?: number;
  /** Ranks that the run trains; powers of two up to lora_r by default. */
  readonly ranks?: readonly number[] | null;
  /**
   * How often each rank is drawn: uniform, geometric (small ranks more often), tail_heavy (in proportion
   * to the rows that it adds), upper (half of the draws at the largest rank, none at the smallest),
   * top_heavy (as upper, with three quarters), or one weight per rank. Default: upper where the smallest
   * rank distils, top_heavy with distillation_student: both, else uniform.
   */
  readonly rankDistribution?:
    'uniform' | 'geometric' | 'tail_heavy' | 'upper' | 'top_heavy' | readonly number[] | null;
  /**
   * Ranks of one step. sandwich: half of its parts at the largest rank, half at a drawn one; one: a
   * single drawn rank; each: one draw per part; stratified: draws spread over all ranks; all: every rank
   * (default: sandwich).
   */
  readonly rankSchedule?: 'one' | 'each' | 'stratified' | 'sandwich' | 'all';
  /**
   * Share of the steps that train the largest rank alone; then rows are sorted by SVD, and all ranks
   * train. By default 0.5 where lora_scaling is tapered, uniform or constant, else 0.
   */
  readonly wideRatio?: number | null;
  /**
   * Factors on the learning rate of the rows of B during the steps of wide_ratio: dedicated: 1/√R for
   * all rows (1 with rank_rates: uniform), as in a run of the largest rank R alone; nested, the default:
   * those of rank_rates.
   */
  readonly wideRates?: 'dedicated' | 'nested' | null;
  /**
   * Parts of a micro batch that train at ranks of their own; default: 2 where a step has one micro
   * batch, else 1. Where a step has a single part, ranks alternate from step to step.
   */
  readonly rankSegments?: number | null;
  /** Factors on the losses of the ranks, also in the steps of wide_ratio. */
  readonly rankLossWeights?: readonly number[] | null;
  /**
   * With the schedule sandwich: a smaller rank runs over the rows of the largest and learns from its
   * predictions, (1 - w)·cross-entropy + w·divergence; 0: off. By default 0.5 where the smallest of
   * several ranks is 1 or 2.
   */
  readonly distillation?: number | null;
  /**
   * The rank that learns from the largest: smallest: in a pass of its own, half as many rows more a
   * step; drawn: in place of its own rows, so a step has half as many different rows; both: all rows run
   * at the largest rank, one half once more at the smallest, the other half at the drawn rank (default:
   * smallest).
   */
  readonly distillationStudent?: 'smallest' | 'drawn' | 'both';
  /** Most likely tokens that distillation compares one by one; all others count together (default: 64). */
  readonly distillationTopK?: number;
  /** The scale, or its numerator (default: 8). */
  readonly loraAlpha?: number;
  /**
   * Scale at rank b of at most R: tapered: alpha·(1 + 3/(4b)), more at small ranks; uniform: alpha, the
   * default at a single rank; sqrt: alpha/√b; paper: alpha/b; constant: alpha/R (default: tapered).
   */
  readonly loraScaling?: 'paper' | 'sqrt' | 'uniform' | 'tapered' | 'constant';
  /**
   * Start of A, with B = 0. kaiming: random, as in PEFT; gradient: the directions in which the loss
   * falls fastest over the first steps (64 rows or more), most important first; activations: the main
   * directions of the inputs of a layer (EVA), without subtracting their mean, unlike EVA in PEFT.
   * gradient and activations are estimates, rougher at a small lora_r (default: kaiming).
   */
  readonly adapterInit?: 'kaiming' | 'gradient' | 'activations';
  /** Norm of the rows of A under another adapter_init than kaiming; 0.577 by default. */
  readonly adapterInitNorm?: number | null;
  /** Learning rate of B over that of A (LoRA+) (default: 1). */
  readonly loraplusLrRatio?: number;
  /**
   * Factors on the learning rate of the rows of B that each rank adds: uniform; inverse_sqrt: 1/√b;
   * steep: 1.5/b^0.77; or one number per rank. Where lora_scaling is tapered or uniform, the default is
   * steep for several ranks and inverse_sqrt for one; otherwise it is uniform.
   */
  readonly rankRates?: 'uniform' | 'inverse_sqrt' | 'steep' | readonly number[] | null;
  /**
   * Ranks of the factors of rank_rates. By default those of the adapter that the run starts from, so
   * that its rows keep their rates, else ranks.
   */
  readonly rateRanks?: readonly number[] | null;
  /** Rows that a step at rank b trains: all up to b, or only those that b adds (default: prefix). */
  readonly updateRule?: 'prefix' | 'newest_block';
  /**
   * What changes the gradients before the optimizer: none; prefix: gradients of A and B at rank b are
   * scaled by (B·Bᵀ + 0.01)⁻¹ and (A·Aᵀ + 0.01)⁻¹ of the first b rows (Riemannian) (default: none).
   */
  readonly preconditioner?: 'none' | 'prefix';
  /**
   * Dropout on the input of the adapter; 0, or that of the adapter that the run starts from (default:
   * 0).
   */
  readonly loraDropout?: number;
  /**
   * Layers with an adapter: all-linear, names of layers, or a regular expression for whole names
   * (default: all-linear).
   */
  readonly targetModules?: string | readonly string[];
  /** Training rows: .jsonl, .json and .parquet files, .txt as plain text; patterns such as data/*.jsonl. */
  readonly dataset?: string | readonly string[] | null;
  /** Repeats of each dataset in an epoch: 2: every row twice; 0.5: half of the rows. */
  readonly datasetWeights?: readonly number[] | null;
  /** Held-out rows. */
  readonly evalDataset?: string | readonly string[] | null;
  /**
   * Rows of dataset to hold out: a count, or a fraction below 1. A hash of the row decides, so equal
   * rows stay together (default: 0).
   */
  readonly valSetSize?: number;
  /** Read rows from their files when they are needed; default: where the files exceed 64 MiB. */
  readonly streaming?: boolean | null;
  /** What to do with a row that cannot be used: end the run, or skip and count it (default: error). */
  readonly onBadRow?: 'error' | 'skip';
  /** Format of the rows; default: that of the first row. */
  readonly datasetFormat?:
    | 'tokens'
    | 'messages'
    | 'sharegpt'
    | 'prompt_completion'
    | 'question_answer'
    | 'alpaca'
    | 'text'
    | 'plain_text'
    | null;
  /** Apply the chat template to prompts and answers; rows of messages always use it (default: false). */
  readonly applyChatTemplate?: boolean;
  /**
   * Chat template in place of that of the model: a name, or the path of a Jinja file. It is stored with
   * the adapter, and generate and eval use it.
   */
  readonly chatTemplate?: string | null;
  /** Compute the loss on answers only, where rows tell them from prompts; true by default. */
  readonly completionOnlyLoss?: boolean | null;
  /** Tokens of a row; longer rows are cut (default: 1024). */
  readonly maxSeqLength?: number;
  /** Pack several rows into one sequence; attention does not cross rows (default: false). */
  readonly packing?: boolean;
  /** Group rows of similar length into steps, for even step times and memory (default: false). */
  readonly groupByLength?: boolean;
  /** Rows of one forward and backward pass (default: 4). */
  readonly microBatchSize?: number;
  /** Passes of one optimizer step (default: 2). */
  readonly gradientAccumulationSteps?: number;
  /** Passes over the dataset (default: 1). */
  readonly numEpochs?: number;
  /** Optimizer steps, over as many epochs as they take; overrides num_epochs. */
  readonly maxSteps?: number | null;
  /**
   * Peak of the learning rate; by default 5e-4·(2000/hidden size)^0.781 for adapters, rounded to two
   * digits, and 2e-4 for full training.
   */
  readonly learningRate?: number | null;
  /** Decay of the learning rate after the warm-up (default: cosine). */
  readonly lrScheduler?:
    | 'constant'
    | 'constant_with_warmup'
    | 'linear'
    | 'cosine'
    | 'cosine_with_restarts'
    | 'polynomial'
    | 'inverse_sqrt'
    | 'warmup_stable_decay';
  /**
   * Final learning rate of cosine, polynomial and warmup_stable_decay, as a fraction of the peak; 0 by
   * default, for polynomial a rate of 1e-7, as in transformers.
   */
  readonly minLearningRateRatio?: number | null;
  /**
   * Warm-up as a fraction of the steps; 0.05 by default. The first warm-up step has rate 0, as in
   * transformers.
   */
  readonly warmupRatio?: number | null;
  /** Warm-up in steps, instead of warmup_ratio; the first has rate 0. */
  readonly warmupSteps?: number | null;
  /** Waves of cosine (0.5 by default), restarts of cosine_with_restarts (1). */
  readonly lrNumCycles?: number | null;
  /** Power of polynomial; 1 by default. */
  readonly lrPower?: number | null;
  /** Steps until inverse_sqrt has fallen to 1/√2; the warm-up by default. */
  readonly lrTimescale?: number | null;
  /** Decay steps of warmup_stable_decay; a tenth of all by default. */
  readonly lrNumDecaySteps?: number | null;
  /** Weight decay of matrices; decoupled, except in sgd (default: 0). */
  readonly weightDecay?: number;
  /** Clips the global gradient norm; 0 turns clipping off (default: 1). */
  readonly maxGradNorm?: number;
  /**
   * 8bit: states of one byte, in blocks of 256; paged: states within optimizer_memory_budget, same
   * results (default: adamw_32bit).
   */
  readonly optimizer?:
    'adamw_32bit' | 'adamw_8bit' | 'paged_adamw_32bit' | 'paged_adamw_8bit' | 'lion_8bit' | 'sgd';
  /** Decay of the first moment, also of lion; 0.9 by default. */
  readonly adamBeta1?: number | null;
  /** Decay of the second moment; 0.999 by default, 0.99 for lion. */
  readonly adamBeta2?: number | null;
  /** Added to the root of the second moment; 1e-8 by default. */
  readonly adamEpsilon?: number | null;
  /** Memory for the states of a paged optimizer (64MB, 1GB); half of the free memory by default. */
  readonly optimizerMemoryBudget?: number | string | null;
  /** Folder for the pages that exceed the budget; output_dir by default. */
  readonly pageDir?: string | null;
  /**
   * Recompute activations in backward instead of keeping them. true: of every layer; n: of n layers at a
   * time; a size such as 8GB: of as few layers as the run needs to fit into it. Same results (default:
   * true).
   */
  readonly gradientCheckpointing?: boolean | number | string;
  /**
   * On a GPU: the inputs of layers that run again in backward rest in pinned memory of the system until
   * then. Same results (default: false).
   */
  readonly activationOffload?: boolean;
  /**
   * Several processes: add gradients in the order of MPI or NCCL. Faster, but the last bits of the
   * result depend on the number of processes. Without a launcher each micro batch is added to one sum,
   * so the last bits differ from those of launch -n 1 (default: false).
   */
  readonly fastReduce?: boolean;
  /**
   * Several processes: send gradients as bf16 or int8, for slow networks. The next step makes up for the
   * rounding. The result depends on the number of processes (default: none).
   */
  readonly gradientCompression?: 'none' | 'bf16' | 'int8';
  /**
   * Several processes: the largest rank that each of them trains (64,8). It runs larger ranks at its
   * own, and each row of the adapter gets the mean over the processes that trained it. A small one saves
   * sums and activations of larger ranks, but has all gradients and states, since each updates all rows.
   */
  readonly maxRankByWorker?: readonly number[] | null;
  /** Folder for everything that the run writes. */
  readonly outputDir?: string | null;
  /**
   * Resume from an earlier checkpoint: auto (the newest in output_dir; starts where there is none), or a
   * folder of checkpoints/.
   */
  readonly resumeFromCheckpoint?: string | null;
  /** Steps between evaluations; 0: only at the end (default: 0). */
  readonly evalSteps?: number;
  /** Ranks of the evaluations between steps; all by default. The final report covers all ranks. */
  readonly evalRanks?: readonly number[] | null;
  /**
   * Sizes of adapters with a rank for each layer (1MB,4MB) to evaluate at the end, for the curve of loss
   * over bytes in the report; ranks: the sizes of all ranks below the largest.
   */
  readonly evalBudgets?: 'ranks' | number | string | readonly (number | string)[] | null;
  /**
   * End the run when evaluations stop improving: the held-out loss of one rank, or aurac (the gain over
   * the base across all evaluated ranks). Evaluations during the steps of wide_ratio do not count.
   */
  readonly earlyStopping?: 'aurac' | number | null;
  /** Evaluations without an improvement before the run ends (default: 3). */
  readonly earlyStoppingPatience?: number;
  /** A change is an improvement only if it is greater than this (default: 0). */
  readonly earlyStoppingMinDelta?: number;
  /** Steps between checkpoints; 0: only at the end (default: 100). */
  readonly saveSteps?: number;
  /** Checkpoints to keep (default: 2). */
  readonly saveTotalLimit?: number;
  /** Type of the weights that full training saves (default: bf16). */
  readonly saveDtype?: 'bf16' | 'f32';
  /**
   * Steps between lines of progress where output is not a terminal; events.jsonl has every step
   * (default: 10).
   */
  readonly loggingSteps?: number;
  /** Time every op: profile.json for chrome://tracing, and a table of the costliest ops (default: false). */
  readonly profile?: boolean;
  /**
   * Also write metrics for: tensorboard (in output_dir/tensorboard). events.jsonl is always written
   * (default: none).
   */
  readonly reportTo?: 'none' | 'tensorboard' | readonly ('tensorboard' | 'none')[];
}
