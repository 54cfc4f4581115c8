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
   * Data type of the operands of matrix multiplications; f16 trains with dynamic loss scaling; auto:
   * bf16 if the processor or GPU has instructions for it, f16 on older GPUs, else f32 (default: auto).
   */
  readonly computeDtype?: 'auto' | 'f32' | 'bf16' | 'f16';
  /** Number of kernel threads; all processors by default. The results do not depend on it. */
  readonly numThreads?: number | null;
  /**
   * Use one kernel per op for any number of rows, so that a result has the same bits alone and in a
   * batch; generation is slower (default: false).
   */
  readonly batchInvariant?: boolean;
  /** Seed of all random numbers (default: 0). */
  readonly seed?: number;
  /** Seed of the order of the rows; seed by default. The held-out rows depend on seed alone. */
  readonly dataSeed?: number | null;
  /** Preset for quantization and ranks; none: full training (default: qdylora). */
  readonly method?: 'qdylora' | 'dylora' | 'qlora' | 'lora' | 'none';
  /** paper: one rank per step, scale alpha/b, alpha 16 (QDyLoRA as published). */
  readonly preset?: 'paper' | null;
  /** Storage of the frozen matrices (default: nf4). */
  readonly quantization?: 'nf4' | 'fp4' | 'none';
  /** Quantize the block scales to 8 bits too (default: true). */
  readonly doubleQuantization?: boolean;
  /** Number of weights that share one scale (default: 64). */
  readonly quantizationBlockSize?: number;
  /**
   * Numbers of bits per weight at which the base is used: 4 (nf4), 3 (the same codes, fewer values), 8
   * (a second nf4 matrix stores the error of the first). With several, see level_schedule (default: 4).
   */
  readonly quantizationLevels?: readonly number[];
  /**
   * Which of several quantization_levels each step uses. distilled: 4 bits (or the most bits, if 4 is
   * not listed), and in every second step a further pass at another level learns from the largest rank;
   * sampled: every second step 4 bits, the others another level; descending: from most bits to fewest;
   * feedback: fewer bits after each evaluation that does not improve. By default distilled if
   * distillation is on, else sampled.
   */
  readonly levelSchedule?: 'distilled' | 'sampled' | 'descending' | 'feedback' | null;
  /**
   * Folder of an adapter to start from. The run has the layers of this adapter; ranks, scale, dropout
   * and storage of the base are those of the adapter unless a key sets them.
   */
  readonly adapter?: string | null;
  /**
   * Checkpoint folder (checkpoints/step-150) of the run that trained adapter; the optimizer starts with
   * its state. Without it the moments start at 0.
   */
  readonly optimizerState?: string | null;
  /** The largest rank (default: 64). */
  readonly loraR?: number;
  /** Ranks that the run trains; powers of two up to lora_r by default. */
  readonly ranks?: readonly number[] | null;
  /**
   * How often each rank is drawn: uniform; geometric: small ranks more often; tail_heavy: in proportion
   * to the rows that a rank adds; upper: the largest rank in half of the draws, the smallest never;
   * top_heavy: the largest in three quarters, the smallest never; or one weight per rank. Default:
   * top_heavy with distillation, upper with distillation_student: smallest, uniform with drawn or
   * without distillation.
   */
  readonly rankDistribution?:
    'uniform' | 'geometric' | 'tail_heavy' | 'upper' | 'top_heavy' | readonly number[] | null;
  /**
   * How a step chooses its ranks. A step has parts: its micro batches, or parts of them (rank_segments).
   * sandwich: half of the parts train the largest rank, half a drawn one (with distillation see
   * distillation_student); one: all parts train one drawn rank; each: every part draws a rank;
   * stratified: the draws are spread over all ranks; all: every part trains every rank (default:
   * sandwich).
   */
  readonly rankSchedule?: 'one' | 'each' | 'stratified' | 'sandwich' | 'all';
  /**
   * Share of the steps, at the beginning, that train the largest rank alone. Then the adapter rows are
   * sorted by SVD, and all ranks train. By default 0.3 with distillation and 0.5 without, but 0 for a
   * single rank, with lora_scaling sqrt or paper, update_rule: newest_block or distillation_student:
   * drawn, or if adapter is set.
   */
  readonly wideRatio?: number | null;
  /**
   * Learning-rate factors of the rows of B during the steps of wide_ratio. nested, the default: those of
   * rank_rates; dedicated: 1/√R for all rows, as in a run of the largest rank R alone (1 with
   * rank_rates: uniform).
   */
  readonly wideRates?: 'dedicated' | 'nested' | null;
  /**
   * Number of parts of a micro batch, each trained at its own rank; default: 2 if a step has one micro
   * batch, else 1. If a step has a single part, ranks alternate from step to step.
   */
  readonly rankSegments?: number | null;
  /** Factors on the losses of the ranks, also in the steps of wide_ratio. */
  readonly rankLossWeights?: readonly number[] | null;
  /**
   * With rank_schedule: sandwich, a smaller rank also learns from the predictions of the largest rank on
   * the same rows. Its loss is (1 - w)·cross-entropy + w·KL divergence; this key is w, and 0 turns it
   * off. By default 0.5 if the smallest of several ranks is 1 or 2 or distillation_student is set, else
   * 0.
   */
  readonly distillation?: number | null;
  /**
   * The rank that learns from the largest. both: all rows run at the largest rank, then half of them at
   * the smallest rank and half at the drawn one; smallest: half of the rows run at the largest rank,
   * then at the smallest, and the others at the drawn rank only; drawn: every row runs at the largest
   * rank and at the drawn rank, so a step has half as many different rows (default: both).
   */
  readonly distillationStudent?: 'smallest' | 'drawn' | 'both';
  /**
   * Number of most likely tokens that distillation compares one by one; all others count together, as
   * one (default: 64).
   */
  readonly distillationTopK?: number;
  /** Alpha: the scale of the adapter, or its numerator, depending on lora_scaling (default: 8). */
  readonly loraAlpha?: number;
  /**
   * Scale of the adapter at rank b (the largest rank is R). tapered: alpha·(1 + 3/(4b)), more at small
   * ranks; uniform: alpha, the default at a single rank; sqrt: alpha/√b; paper: alpha/b; constant:
   * alpha/R (default: tapered).
   */
  readonly loraScaling?: 'paper' | 'sqrt' | 'uniform' | 'tapered' | 'constant';
  /**
   * Initial values of A; B starts at 0. kaiming: random, as in PEFT; gradient: the directions in which
   * the loss falls fastest over the first steps (64 rows or more), most important first; activations:
   * the main directions of the inputs of a layer (EVA), without subtracting their mean, unlike EVA in
   * PEFT. gradient and activations are estimates, less accurate at a small lora_r (default: kaiming).
   */
  readonly adapterInit?: 'kaiming' | 'gradient' | 'activations';
  /** Norm of each row of A with adapter_init gradient or activations; 0.577 by default. */
  readonly adapterInitNorm?: number | null;
  /** Learning rate of B divided by that of A (LoRA+) (default: 1). */
  readonly loraplusLrRatio?: number;
  /**
   * Learning-rate factors of the rows of B that each rank adds: uniform; inverse_sqrt: 1/√b; steep:
   * 1.5/b^0.77; or one number per rank. If lora_scaling is tapered or uniform, the default is steep for
   * several ranks and inverse_sqrt for one; otherwise it is uniform.
   */
  readonly rankRates?: 'uniform' | 'inverse_sqrt' | 'steep' | readonly number[] | null;
  /**
   * Ranks to which the factors of rank_rates belong. By default the ranks of adapter, so that its rows
   * keep their rates, else ranks.
   */
  readonly rateRanks?: readonly number[] | null;
  /**
   * Rows that a step at rank b trains. prefix: all rows up to b; newest_block: only those that b adds
   * (default: prefix).
   */
  readonly updateRule?: 'prefix' | 'newest_block';
  /**
   * Preconditioner of the gradients. prefix: the gradients of A and B at rank b are multiplied by (B·Bᵀ
   * + 0.01)⁻¹ and (A·Aᵀ + 0.01)⁻¹ of the first b rows (Riemannian) (default: none).
   */
  readonly preconditioner?: 'none' | 'prefix';
  /**
   * Dropout on the input of the adapter. A run that starts from an adapter uses its dropout unless this
   * key is set (default: 0).
   */
  readonly loraDropout?: number;
  /**
   * Layers with an adapter: all-linear, names of layers, or a regular expression for whole names. The
   * head and the embeddings never get one (default: all-linear).
   */
  readonly targetModules?: string | readonly string[];
  /** Training rows: .jsonl, .json and .parquet files, .txt as plain text; patterns such as data/*.jsonl. */
  readonly dataset?: string | readonly string[] | null;
  /** Repeats of each dataset in an epoch: 2: every row twice; 0.5: half of the rows. */
  readonly datasetWeights?: readonly number[] | null;
  /** Held-out rows. */
  readonly evalDataset?: string | readonly string[] | null;
  /**
   * Rows of dataset to hold out: a count, or a fraction below 1. A hash of the row decides, so identical
   * rows are never split between training and evaluation (default: 0).
   */
  readonly valSetSize?: number;
  /** Read rows from their files when they are needed; by default only if the files exceed 64 MiB. */
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
   * Chat template to use instead of that of the model: a name, or the path of a Jinja file. It is stored
   * with the adapter, and generate and eval use it.
   */
  readonly chatTemplate?: string | null;
  /** Compute the loss on answers only, if the row format separates them from prompts; true by default. */
  readonly completionOnlyLoss?: boolean | null;
  /** Maximum number of tokens in a row; longer rows are truncated (default: 1024). */
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
   * Peak learning rate; by default 5e-4·(2000/hidden size)^0.781 for adapters, rounded to two digits,
   * and 2e-4 for full training.
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
   * default, and for polynomial a rate of 1e-7, as in transformers.
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
   * 8bit: optimizer states of one byte, in blocks of 256; paged: at most optimizer_memory_budget of the
   * states in memory, the others in a file (on a GPU: in pinned memory of the system), with the same
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
  /**
   * Memory for the states of a paged optimizer (64MB, 1GB), for each worker; by default half of the free
   * memory, which the workers of a host share equally.
   */
  readonly optimizerMemoryBudget?: number | string | null;
  /** Folder for the pages that exceed the budget; output_dir by default. */
  readonly pageDir?: string | null;
  /**
   * Recompute activations in the backward pass instead of storing them. true: in every layer; n: n
   * layers at a time; a size such as 8GB: in as few layers as the run needs to fit into that much
   * memory. The results are the same (default: true).
   */
  readonly gradientCheckpointing?: boolean | number | string;
  /**
   * On a GPU: keep the inputs of recomputed layers in pinned memory of the system until the backward
   * pass needs them. The results are the same (default: false).
   */
  readonly activationOffload?: boolean;
  /**
   * Several processes: let MPI or NCCL choose the order in which gradients are added. Faster, but the
   * last bits of the result depend on the number of processes. Without a launcher all micro batches are
   * added to one sum, so the last bits differ from those of launch -n 1 (default: false).
   */
  readonly fastReduce?: boolean;
  /**
   * Several processes: send gradients as bf16 or int8, for slow networks. The rounding error of a step
   * is added to the next one. The result depends on the number of processes (default: none).
   */
  readonly gradientCompression?: 'none' | 'bf16' | 'int8';
  /**
   * Several processes: the largest rank that each one trains (64,8). It runs larger ranks at its own
   * largest, and the gradient of each adapter row is the mean over the processes that trained it. A
   * small rank saves only sums of gradients and activations: every process holds all gradients and
   * states, since each updates all rows.
   */
  readonly maxRankByWorker?: readonly number[] | null;
  /** Folder for everything that the run writes. */
  readonly outputDir?: string | null;
  /**
   * Resume from an earlier checkpoint: auto (the newest in output_dir; a new run if there is none), or a
   * folder of checkpoints/.
   */
  readonly resumeFromCheckpoint?: string | null;
  /** Steps between evaluations; 0: only at the end (default: 0). */
  readonly evalSteps?: number;
  /** Ranks of the evaluations between steps; all by default. The final report covers all ranks. */
  readonly evalRanks?: readonly number[] | null;
  /**
   * Sizes (1MB,4MB) to which the adapter is cut at the end, with a rank for each layer, and evaluated,
   * for the curve of loss over bytes in the report; ranks: the sizes of all ranks below the largest.
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
  /** Data type of the weights that full training saves (default: bf16). */
  readonly saveDtype?: 'bf16' | 'f32';
  /**
   * Steps between lines of progress if output is not a terminal; events.jsonl has every step (default:
   * 10).
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
