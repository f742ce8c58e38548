BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE evaluations (
	training INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	accuracy FLOAT, 
	loss FLOAT, 
	PRIMARY KEY (training, step), 
	FOREIGN KEY(training) REFERENCES trainings (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "evaluations" VALUES(1,2,3.33333333333333314e-01,1.09861433506011962e+00);
INSERT INTO "evaluations" VALUES(1,4,3.33333333333333314e-01,1.09861540794372558e+00);
INSERT INTO "evaluations" VALUES(2,1,3.33333333333333314e-01,1.09861230850219726e+00);
INSERT INTO "evaluations" VALUES(2,2,3.33333333333333314e-01,1.09861266613006591e+00);
INSERT INTO "evaluations" VALUES(2,3,3.33333333333333314e-01,1.09861338138580322e+00);
INSERT INTO "evaluations" VALUES(2,4,3.33333333333333314e-01,1.09861326217651367e+00);
INSERT INTO "evaluations" VALUES(2,5,3.33333333333333314e-01,1.09861302375793457e+00);
INSERT INTO "evaluations" VALUES(2,6,3.33333333333333314e-01,1.09861290454864501e+00);
INSERT INTO "evaluations" VALUES(3,1,3.33333333333333314e-01,1.09861230850219726e+00);
INSERT INTO "evaluations" VALUES(3,2,3.33333333333333314e-01,1.09861254692077636e+00);
INSERT INTO "evaluations" VALUES(3,3,3.33333333333333314e-01,1.09861338138580322e+00);
INSERT INTO "evaluations" VALUES(3,4,3.33333333333333314e-01,1.09861314296722412e+00);
INSERT INTO "evaluations" VALUES(3,5,3.33333333333333314e-01,1.09861302375793457e+00);
INSERT INTO "evaluations" VALUES(3,6,3.33333333333333314e-01,1.09861290454864501e+00);
INSERT INTO "evaluations" VALUES(4,2,3.33333333333333314e-01,1.09861433506011962e+00);
INSERT INTO "evaluations" VALUES(4,4,3.33333333333333314e-01,1.09861540794372558e+00);
INSERT INTO "evaluations" VALUES(5,1,3.33333333333333314e-01,1.09861230850219726e+00);
INSERT INTO "evaluations" VALUES(5,2,3.33333333333333314e-01,1.09861266613006591e+00);
INSERT INTO "evaluations" VALUES(5,3,3.33333333333333314e-01,1.09861338138580322e+00);
INSERT INTO "evaluations" VALUES(5,4,3.33333333333333314e-01,1.09861326217651367e+00);
INSERT INTO "evaluations" VALUES(5,5,3.33333333333333314e-01,1.09861302375793457e+00);
INSERT INTO "evaluations" VALUES(5,6,3.33333333333333314e-01,1.09861290454864501e+00);
INSERT INTO "evaluations" VALUES(6,1,3.33333333333333314e-01,1.09861230850219726e+00);
INSERT INTO "evaluations" VALUES(6,2,3.33333333333333314e-01,1.09861254692077636e+00);
INSERT INTO "evaluations" VALUES(6,3,3.33333333333333314e-01,1.09861338138580322e+00);
INSERT INTO "evaluations" VALUES(6,4,3.33333333333333314e-01,1.09861314296722412e+00);
INSERT INTO "evaluations" VALUES(6,5,3.33333333333333314e-01,1.09861302375793457e+00);
INSERT INTO "evaluations" VALUES(6,6,3.33333333333333314e-01,1.09861290454864501e+00);
INSERT INTO "evaluations" VALUES(7,2,3.33333333333333314e-01,1.09861433506011962e+00);
INSERT INTO "evaluations" VALUES(7,4,3.33333333333333314e-01,1.09861540794372558e+00);
INSERT INTO "evaluations" VALUES(8,1,3.33333333333333314e-01,1.09861230850219726e+00);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	kind VARCHAR NOT NULL, 
	event JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run) REFERENCES runs (number) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,1,'2026-11-25 17:10:36.423477','StageStarted','{"stage": "teach"}');
INSERT INTO "events" VALUES(2,1,'2026-11-25 17:10:36.447903','TrainingStarted','{"who": "teacher", "seed": 0, "steps": 4, "cached": false}');
INSERT INTO "events" VALUES(3,1,'2026-11-25 17:10:37.692431','Checkpointed','{"who": "teacher", "seed": 0, "step": 2, "path": "/srv/kd/home/work/20261125-171017-df7e/teacher/checkpoint-2"}');
INSERT INTO "events" VALUES(4,1,'2026-11-25 17:10:37.869896','Checkpointed','{"who": "teacher", "seed": 0, "step": 4, "path": "/srv/kd/home/work/20261125-171017-df7e/teacher/checkpoint-4"}');
INSERT INTO "events" VALUES(5,1,'2026-11-25 17:10:37.994421','StageFinished','{"stage": "teach", "seconds": 1.5605573419998109, "cached": false}');
INSERT INTO "events" VALUES(6,1,'2026-11-25 17:10:37.994738','StageStarted','{"stage": "record"}');
INSERT INTO "events" VALUES(7,1,'2026-11-25 17:10:38.087582','StageFinished','{"stage": "record", "seconds": 0.0924859199999446, "cached": false}');
INSERT INTO "events" VALUES(8,1,'2026-11-25 17:10:38.087808','StageStarted','{"stage": "distil"}');
INSERT INTO "events" VALUES(9,1,'2026-11-25 17:10:38.147908','TrainingStarted','{"who": "student", "seed": 0, "steps": 6, "cached": false}');
INSERT INTO "events" VALUES(10,1,'2026-11-25 17:10:39.288861','Checkpointed','{"who": "student", "seed": 0, "step": 1, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-1"}');
INSERT INTO "events" VALUES(11,1,'2026-11-25 17:10:39.421883','Checkpointed','{"who": "student", "seed": 0, "step": 2, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-2"}');
INSERT INTO "events" VALUES(12,1,'2026-11-25 17:10:39.622689','Checkpointed','{"who": "student", "seed": 0, "step": 3, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-3"}');
INSERT INTO "events" VALUES(13,1,'2026-11-25 17:10:39.831643','Checkpointed','{"who": "student", "seed": 0, "step": 4, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-4"}');
INSERT INTO "events" VALUES(14,1,'2026-11-25 17:10:40.021787','Checkpointed','{"who": "student", "seed": 0, "step": 5, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-5"}');
INSERT INTO "events" VALUES(15,1,'2026-11-25 17:10:40.213781','Checkpointed','{"who": "student", "seed": 0, "step": 6, "path": "/srv/kd/home/work/20261125-171017-df7e/student-0/checkpoint-6"}');
INSERT INTO "events" VALUES(16,1,'2026-11-25 17:10:40.518433','TrainingStarted','{"who": "alone", "seed": 0, "steps": 6, "cached": false}');
INSERT INTO "events" VALUES(17,1,'2026-11-25 17:10:41.757847','Checkpointed','{"who": "alone", "seed": 0, "step": 1, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-1"}');
INSERT INTO "events" VALUES(18,1,'2026-11-25 17:10:41.881927','Checkpointed','{"who": "alone", "seed": 0, "step": 2, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-2"}');
INSERT INTO "events" VALUES(19,1,'2026-11-25 17:10:42.025805','Checkpointed','{"who": "alone", "seed": 0, "step": 3, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-3"}');
INSERT INTO "events" VALUES(20,1,'2026-11-25 17:10:42.177824','Checkpointed','{"who": "alone", "seed": 0, "step": 4, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-4"}');
INSERT INTO "events" VALUES(21,1,'2026-11-25 17:10:42.356802','Checkpointed','{"who": "alone", "seed": 0, "step": 5, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-5"}');
INSERT INTO "events" VALUES(22,1,'2026-11-25 17:10:42.529826','Checkpointed','{"who": "alone", "seed": 0, "step": 6, "path": "/srv/kd/home/work/20261125-171017-df7e/alone-0/checkpoint-6"}');
INSERT INTO "events" VALUES(23,1,'2026-11-25 17:10:42.682382','StageFinished','{"stage": "distil", "seconds": 4.594297015999928, "cached": false}');
INSERT INTO "events" VALUES(24,1,'2026-11-25 17:10:42.682682','StageStarted','{"stage": "validate"}');
INSERT INTO "events" VALUES(25,1,'2026-11-25 17:10:44.543757','StageFinished','{"stage": "validate", "seconds": 1.860736657000416, "cached": false}');
INSERT INTO "events" VALUES(26,1,'2026-11-25 17:10:44.757660','Finished','{"run_id": "20261125-171017-df7e"}');
INSERT INTO "events" VALUES(27,3,'2026-11-25 17:11:25.154272','StageStarted','{"stage": "teach"}');
INSERT INTO "events" VALUES(28,3,'2026-11-25 17:11:25.156926','TrainingStarted','{"who": "teacher", "seed": 0, "steps": 4, "cached": true}');
INSERT INTO "events" VALUES(29,3,'2026-11-25 17:11:25.171711','StageFinished','{"stage": "teach", "seconds": 0.017374475999986316, "cached": true}');
INSERT INTO "events" VALUES(30,3,'2026-11-25 17:11:25.171750','StageStarted','{"stage": "record"}');
INSERT INTO "events" VALUES(31,3,'2026-11-25 17:11:25.179564','StageFinished','{"stage": "record", "seconds": 0.007774316999984876, "cached": true}');
INSERT INTO "events" VALUES(32,3,'2026-11-25 17:11:25.179600','StageStarted','{"stage": "distil"}');
INSERT INTO "events" VALUES(33,3,'2026-11-25 17:11:25.247610','TrainingStarted','{"who": "student", "seed": 0, "steps": 6, "cached": false}');
INSERT INTO "events" VALUES(34,3,'2026-11-25 17:11:26.445857','Checkpointed','{"who": "student", "seed": 0, "step": 1, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-1"}');
INSERT INTO "events" VALUES(35,3,'2026-11-25 17:11:26.589944','Checkpointed','{"who": "student", "seed": 0, "step": 2, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-2"}');
INSERT INTO "events" VALUES(36,3,'2026-11-25 17:11:26.769781','Checkpointed','{"who": "student", "seed": 0, "step": 3, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-3"}');
INSERT INTO "events" VALUES(37,3,'2026-11-25 17:11:26.960682','Checkpointed','{"who": "student", "seed": 0, "step": 4, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-4"}');
INSERT INTO "events" VALUES(38,3,'2026-11-25 17:11:27.121788','Checkpointed','{"who": "student", "seed": 0, "step": 5, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-5"}');
INSERT INTO "events" VALUES(39,3,'2026-11-25 17:11:27.289802','Checkpointed','{"who": "student", "seed": 0, "step": 6, "path": "/srv/kd/home/work/20261125-171124-e616/student-0/checkpoint-6"}');
INSERT INTO "events" VALUES(40,3,'2026-11-25 17:11:27.527434','TrainingStarted','{"who": "alone", "seed": 0, "steps": 6, "cached": true}');
INSERT INTO "events" VALUES(41,3,'2026-11-25 17:11:27.537389','StageFinished','{"stage": "distil", "seconds": 2.3577330699999948, "cached": false}');
INSERT INTO "events" VALUES(42,3,'2026-11-25 17:11:27.537480','StageStarted','{"stage": "validate"}');
INSERT INTO "events" VALUES(43,3,'2026-11-25 17:11:29.708632','StageFinished','{"stage": "validate", "seconds": 2.162913848000244, "cached": false}');
INSERT INTO "events" VALUES(44,3,'2026-11-25 17:11:29.885681','Finished','{"run_id": "20261125-171124-e616"}');
INSERT INTO "events" VALUES(45,4,'2026-11-25 17:12:18.998217','StageStarted','{"stage": "teach"}');
INSERT INTO "events" VALUES(46,4,'2026-11-25 17:12:19.018354','TrainingStarted','{"who": "teacher", "seed": 0, "steps": 4, "cached": true}');
INSERT INTO "events" VALUES(47,4,'2026-11-25 17:12:19.021213','StageFinished','{"stage": "teach", "seconds": 0.022170008999637503, "cached": true}');
INSERT INTO "events" VALUES(48,4,'2026-11-25 17:12:19.021479','StageStarted','{"stage": "record"}');
INSERT INTO "events" VALUES(49,4,'2026-11-25 17:12:19.047028','StageFinished','{"stage": "record", "seconds": 0.011675160999857326, "cached": true}');
INSERT INTO "events" VALUES(50,4,'2026-11-25 17:12:19.047276','StageStarted','{"stage": "distil"}');
INSERT INTO "events" VALUES(51,4,'2026-11-25 17:12:19.176888','TrainingStarted','{"who": "student", "seed": 0, "steps": 6, "cached": false}');
INSERT INTO "events" VALUES(52,4,'2026-11-25 17:12:20.853996','Checkpointed','{"who": "student", "seed": 0, "step": 1, "path": "/srv/kd/home/work/20261125-171151-bea2/student-0/checkpoint-1"}');
CREATE TABLE kd_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT kd_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "kd_version" VALUES('0001');
CREATE TABLE points (
	training INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	loss FLOAT, 
	hard FLOAT, 
	soft FLOAT, 
	intermediate FLOAT, 
	learning_rate FLOAT, 
	samples_per_second FLOAT, 
	PRIMARY KEY (training, step), 
	FOREIGN KEY(training) REFERENCES trainings (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "points" VALUES(1,1,1.09883928298950195e+00,1.09883928298950195e+00,0.0,0.0,0.0005,3.46589394589918668e+01);
INSERT INTO "points" VALUES(1,2,1.09749472141265869e+00,1.09749472141265869e+00,0.0,0.0,3.33333333333333322e-04,1.52047244881612209e+03);
INSERT INTO "points" VALUES(1,3,1.09852480888366699e+00,1.09852480888366699e+00,0.0,0.0,1.66666666666666661e-04,1.13955129234791485e+02);
INSERT INTO "points" VALUES(1,4,1.10035741329193115e+00,1.10035741329193115e+00,0.0,0.0,0.0,1.19899530188078574e+03);
INSERT INTO "points" VALUES(2,1,3.29625844955444335e-01,1.09874773025512695e+00,2.17350316233932971e-06,0.0,0.0005,3.30948092867167176e+01);
INSERT INTO "points" VALUES(2,2,3.29338520765304565e-01,1.09778857231140136e+00,2.75846105068922042e-06,0.0,0.0004,2.57765109481855915e+02);
INSERT INTO "points" VALUES(2,3,3.29514533281326293e-01,1.09837949275970458e+00,9.82487108558416366e-07,0.0,0.0003,2.56696862159625652e+02);
INSERT INTO "points" VALUES(2,4,3.30228388309478759e-01,1.10075640678405761e+00,2.07175617106258869e-06,0.0,0.0002,1.56578518245532706e+02);
INSERT INTO "points" VALUES(2,5,3.2955828309059143e-01,1.09852576255798339e+00,7.833878044039011e-07,0.0,0.0001,1.5432370558509848e+02);
INSERT INTO "points" VALUES(2,6,3.29902797937393188e-01,1.09967422485351562e+00,7.26844518794678151e-07,0.0,0.0,1.71096890939873418e+02);
INSERT INTO "points" VALUES(3,1,1.09874773025512695e+00,1.09874773025512695e+00,0.0,0.0,0.0005,3.22171920390424944e+01);
INSERT INTO "points" VALUES(3,2,1.09778857231140136e+00,1.09778857231140136e+00,0.0,0.0,0.0004,3.27544227939433653e+02);
INSERT INTO "points" VALUES(3,3,1.09837996959686279e+00,1.09837996959686279e+00,0.0,0.0,0.0003,2.48292644725040872e+02);
INSERT INTO "points" VALUES(3,4,1.10074937343597412e+00,1.10074937343597412e+00,0.0,0.0,0.0002,2.28725045213513141e+02);
INSERT INTO "points" VALUES(3,5,1.09852659702301025e+00,1.09852659702301025e+00,0.0,0.0,0.0001,2.11490612803899495e+02);
INSERT INTO "points" VALUES(3,6,1.09966874122619628e+00,1.09966874122619628e+00,0.0,0.0,0.0,1.82111814354728721e+02);
INSERT INTO "points" VALUES(5,1,3.29626053571701049e-01,1.09874773025512695e+00,2.48099240707233548e-06,0.0,0.0005,3.01597180061769414e+01);
INSERT INTO "points" VALUES(5,2,3.2933807373046875e-01,1.09778857231140136e+00,2.12233862839639186e-06,0.0,0.0004,3.28594298441071771e+02);
INSERT INTO "points" VALUES(5,3,3.2951483130455017e-01,1.09837949275970458e+00,1.40437623485922813e-06,0.0,0.0003,2.01101612007050448e+02);
INSERT INTO "points" VALUES(5,4,3.30228060483932495e-01,1.10075640678405761e+00,1.63487857207655906e-06,0.0,0.0002,1.87315375088068122e+02);
INSERT INTO "points" VALUES(5,5,3.29558461904525756e-01,1.09852576255798339e+00,1.01688419817946851e-06,0.0,0.0001,1.72675406578454584e+02);
INSERT INTO "points" VALUES(5,6,3.2990303635597229e-01,1.09967422485351562e+00,1.0846670193132013e-06,0.0,0.0,2.04036950122552468e+02);
INSERT INTO "points" VALUES(8,1,3.29626053571701049e-01,1.09874773025512695e+00,2.48099240707233548e-06,0.0,0.0005,2.62393637662742875e+01);
INSERT INTO "points" VALUES(8,2,3.2933807373046875e-01,1.09778857231140136e+00,2.12233862839639186e-06,0.0,0.0004,7.28249443841239099e+01);
CREATE TABLE reports (
	run INTEGER NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (run), 
	FOREIGN KEY(run) REFERENCES runs (number) ON DELETE CASCADE
);
INSERT INTO "reports" VALUES(1,'{"run_id": "20261125-171017-df7e", "created": "2026-11-25T17:10:36+00:00", "folder": "/srv/kd/home/runs/20261125-171017-df7e", "config": {"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": 32, "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": 0.0005, "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": 32, "model": "custom", "init": "teacher_layers", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 4.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": 0.0005, "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": 1, "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}, "labels": ["billing", "delivery", "technical"], "rows": {"train": 36, "validation": 9, "test": 15, "transfer": 0}, "teacher": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0006233184199902486, "params": 9603, "embedding_params": 8616, "size_mb": 0.040972, "latency_ms": {"p50": 0.880067, "p95": 16.3475972, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0006233184199902486, "per_class": [{"name": "billing", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}], "confusion": [[5, 0, 0], [5, 0, 0], [5, 0, 0]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33395665175332356, "accuracy": 0.3333333333333333, "count": 15}]}}}, "student": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "params": 7267, "embedding_params": 6280, "size_mb": 0.031628, "latency_ms": {"p50": 0.68684, "p95": 1.4421582, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "per_class": [{"name": "billing", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}], "confusion": [[0, 0, 5], [0, 0, 5], [0, 0, 5]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33357518442793915, "accuracy": 0.3333333333333333, "count": 15}]}}}, "alone": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "params": 7267, "embedding_params": 6280, "size_mb": 0.031628, "latency_ms": {"p50": 0.68684, "p95": 1.4421582, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "per_class": [{"name": "billing", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}], "confusion": [[0, 0, 5], [0, 0, 5], [0, 0, 5]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33357518442793915, "accuracy": 0.3333333333333333, "count": 15}]}}}, "labelled_only": null, "teacher_key": "9f68d57eb726091f598ad0016383a33b", "verdict": {"kind": "no_difference", "delta": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0, "n": 15, "seeds": 1}, "sentence": "Distillation made no difference that these 15 test texts can show: 0.0 points over the same student trained alone (95 % interval 0.0 to 0.0).", "fidelity": {"agreement": 0.0, "kl": 2.021001719710204e-06, "both_right": 0, "mended": 5, "inherited": 5, "new_error": 5}, "seconds": {"teach": 1.5605573419998109, "record": 0.0924859199999446, "distil": 4.594297015999928, "validate": 1.860736657000416}, "cached": {"teach": false, "record": false}, "machine": {"processor": "AMD EPYC", "cores": 2, "memory_gb": 25, "os": "Linux x86_64", "python": "3.11.7", "torch": "2.13.0+cpu"}, "notes": []}');
INSERT INTO "reports" VALUES(2,'{"study": "search", "config": {"study": "search", "distill": {"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 4.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}, "temperatures": [1.0, 2.0], "alphas": [0.3], "learning_rates": [], "students": [], "divergences": [], "method": "grid", "trials": 20, "folds": 2, "pruning": "none", "workers": "auto"}, "cells": [{"number": 0, "state": "done", "setting": {"temperature": 1.0, "alpha": 0.3, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}, "scores": [{"seed": 0, "fold": 0, "accuracy": 0.3333333333333333, "seconds": 2.053096374999768}, {"seed": 0, "fold": 1, "accuracy": 0.3333333333333333, "seconds": 1.5317452539998158}], "mean": 0.3333333333333333, "se": 0.0, "from_best": {"mean": 0.0, "low": 0.0, "high": 0.0}, "same_as_best": true, "params": 6363, "teacher_texts": 36, "error": null}, {"number": 1, "state": "done", "setting": {"temperature": 2.0, "alpha": 0.3, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}, "scores": [{"seed": 0, "fold": 0, "accuracy": 0.3333333333333333, "seconds": 1.671259826000096}, {"seed": 0, "fold": 1, "accuracy": 0.3333333333333333, "seconds": 1.5747110609995616}], "mean": 0.3333333333333333, "se": 0.0, "from_best": {"mean": 0.0, "low": 0.0, "high": 0.0}, "same_as_best": true, "params": 6363, "teacher_texts": 36, "error": null}], "alone": [{"number": 0, "state": "done", "setting": {"temperature": 4.0, "alpha": 1.0, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}, "scores": [{"seed": 0, "fold": 0, "accuracy": 0.3333333333333333, "seconds": 2.397320598999613}, {"seed": 0, "fold": 1, "accuracy": 0.3333333333333333, "seconds": 1.9169776520002415}], "mean": 0.3333333333333333, "se": 0.0, "from_best": {"mean": 0.0, "low": 0.0, "high": 0.0}, "same_as_best": true, "params": 6363, "teacher_texts": 0, "error": null}], "teacher": [{"seed": 0, "fold": 0, "accuracy": 0.3333333333333333, "seconds": 2.3394527230002495}, {"seed": 0, "fold": 1, "accuracy": 0.3333333333333333, "seconds": 1.6581546700003855}], "best": 1, "choice": 1, "complete": true, "trainings": 8, "trainings_done": 8, "seconds": 15.142718159999731, "run_id": "20261125-171124-e616"}');
INSERT INTO "reports" VALUES(3,'{"run_id": "20261125-171124-e616", "created": "2026-11-25T17:11:25+00:00", "folder": "/srv/kd/home/runs/20261125-171124-e616", "config": {"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": 32, "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": 0.0005, "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": 32, "model": "custom", "init": "teacher_layers", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 2.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": 0.0005, "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": 1, "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}, "labels": ["billing", "delivery", "technical"], "rows": {"train": 36, "validation": 9, "test": 15, "transfer": 0}, "teacher": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0006233184199902486, "params": 9603, "embedding_params": 8616, "size_mb": 0.040972, "latency_ms": {"p50": 1.863688, "p95": 4.8324058, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0006233184199902486, "per_class": [{"name": "billing", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}], "confusion": [[5, 0, 0], [5, 0, 0], [5, 0, 0]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33395665175332356, "accuracy": 0.3333333333333333, "count": 15}]}}}, "student": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "params": 7267, "embedding_params": 6280, "size_mb": 0.031628, "latency_ms": {"p50": 1.342434, "p95": 17.6076324, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "per_class": [{"name": "billing", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}], "confusion": [[0, 0, 5], [0, 0, 5], [0, 0, 5]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33357518442793915, "accuracy": 0.3333333333333333, "count": 15}]}}}, "alone": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "spread": 0.0, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "params": 7267, "embedding_params": 6280, "size_mb": 0.031628, "latency_ms": {"p50": 1.342434, "p95": 17.6076324, "batch": 1, "threads": 1, "texts": 5, "mean_tokens": 16.0}, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "seeds": {"0": {"accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "macro_f1": 0.16666666666666666, "ece": 0.0002418510946058383, "per_class": [{"name": "billing", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "delivery", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 5}, {"name": "technical", "precision": 0.3333333333333333, "recall": 1.0, "f1": 0.5, "support": 5}], "confusion": [[0, 0, 5], [0, 0, 5], [0, 0, 5]], "reliability": [{"low": 0.3333333333333333, "high": 0.4, "confidence": 0.33357518442793915, "accuracy": 0.3333333333333333, "count": 15}]}}}, "labelled_only": null, "teacher_key": "9f68d57eb726091f598ad0016383a33b", "verdict": {"kind": "no_difference", "delta": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0, "n": 15, "seeds": 1}, "sentence": "Distillation made no difference that these 15 test texts can show: 0.0 points over the same student trained alone (95 % interval 0.0 to 0.0).", "fidelity": {"agreement": 0.0, "kl": 2.021001719710204e-06, "both_right": 0, "mended": 5, "inherited": 5, "new_error": 5}, "seconds": {"teach": 0.017374475999986316, "record": 0.007774316999984876, "distil": 2.3577330699999948, "validate": 2.162913848000244}, "cached": {"teach": true, "record": true}, "machine": {"processor": "AMD EPYC", "cores": 2, "memory_gb": 25, "os": "Linux x86_64", "python": "3.11.7", "torch": "2.13.0+cpu"}, "notes": []}');
CREATE TABLE runs (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	command VARCHAR NOT NULL, 
	tags JSON NOT NULL, 
	task VARCHAR NOT NULL, 
	teacher VARCHAR NOT NULL, 
	student VARCHAR NOT NULL, 
	config JSON NOT NULL, 
	created DATETIME NOT NULL, 
	started DATETIME, 
	finished DATETIME, 
	machine VARCHAR NOT NULL, 
	owner VARCHAR, 
	heartbeat DATETIME NOT NULL, 
	error VARCHAR, 
	stage VARCHAR, 
	who VARCHAR, 
	seed INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	steps INTEGER NOT NULL, 
	label VARCHAR, 
	progress FLOAT NOT NULL, 
	seconds_left FLOAT, 
	pace JSON NOT NULL, 
	sparkline JSON NOT NULL, 
	summary JSON NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "runs" VALUES(1,'20261125-171017-df7e','distil','done','done','run','[]','support-messages.csv','scratch','custom','{"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 4.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}','2026-11-25 17:10:17.271170','2026-11-25 17:10:17.976136','2026-11-25 17:10:44.785613','example','example:22943:1795626614.2','2026-11-25 17:10:40.142741',NULL,'validate',NULL,0,4,4,'done',1.0,NULL,'{"spent": 1.5888010329995268, "progress": 1.0, "measured": {"teach": [0.04731418019993726, 0.029714192639999998], "distil": [1.4095006654514561, 0.13726095594035131]}}','[0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333]','{"accuracy": {"teacher": 0.3333333333333333, "alone": 0.3333333333333333, "student": 0.3333333333333333}, "verdict": "no_difference", "delta": 0.0, "low": 0.0, "high": 0.0, "size_mb": 0.031628, "latency": {"student": 0.68684, "teacher": 0.880067}, "forms": [{"who": "teacher", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.040972, "params": 9603, "p50": 0.880067, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}, {"who": "student", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.031628, "params": 7267, "p50": 0.68684, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}, {"who": "alone", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.031628, "params": 7267, "p50": 0.68684, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}]}');
INSERT INTO "runs" VALUES(2,'20261125-171052-ebb7','search','search','done','run','[]','support-messages.csv','scratch','custom','{"study": "search", "distill": {"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 4.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}, "temperatures": [1.0, 2.0], "alphas": [0.3], "learning_rates": [], "students": [], "divergences": [], "method": "grid", "trials": 20, "folds": 2, "pruning": "none", "workers": "auto"}','2026-11-25 17:10:52.053950','2026-11-25 17:10:52.091154','2026-11-25 17:11:29.953820','example','example:23158:1795626648.9','2026-11-25 17:11:29.278662',NULL,NULL,NULL,0,8,9,'the chosen setting on all training data: validate',1.0,NULL,'{}','[]','{}');
INSERT INTO "runs" VALUES(3,'20261125-171124-e616','distil','search: chosen','done','run','[]','support-messages.csv','scratch','custom','{"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 2.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}','2026-11-25 17:11:24.793908','2026-11-25 17:11:24.998328','2026-11-25 17:11:29.941714','example','example:23158:1795626648.9','2026-11-25 17:11:25.023687',NULL,'validate',NULL,0,4,4,'done',1.0,NULL,'{"spent": 0.7694960889998583, "progress": 1.0, "measured": {"distil": [0.7421067746090539, 0.07209383718642688]}}','[0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333, 0.3333333333333333]','{"accuracy": {"teacher": 0.3333333333333333, "alone": 0.3333333333333333, "student": 0.3333333333333333}, "verdict": "no_difference", "delta": 0.0, "low": 0.0, "high": 0.0, "size_mb": 0.031628, "latency": {"student": 1.342434, "teacher": 1.863688}, "forms": [{"who": "teacher", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.040972, "params": 9603, "p50": 1.863688, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}, {"who": "student", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.031628, "params": 7267, "p50": 1.342434, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}, {"who": "alone", "runtime": "pytorch", "accuracy": 0.3333333333333333, "low": 0.15176324439714725, "high": 0.5828645226148023, "size_mb": 0.031628, "params": 7267, "p50": 1.342434, "threads": 1, "batch": 1, "texts": 15, "shifted": {"typos": 0.3333333333333333, "dropped words": 0.3333333333333333, "upper case": 0.3333333333333333}, "flops": 32944.0}]}');
INSERT INTO "runs" VALUES(4,'20261125-171151-bea2','distil','stopped','stopped','run','[]','support-messages.csv','scratch','custom','{"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 2.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}','2026-11-25 17:11:51.619448','2026-11-25 17:11:51.697927','2026-11-25 17:12:20.949708','example','example:24003:1795626708.1','2026-11-25 17:12:20.386578',NULL,'distil','student',0,2,6,NULL,4.7410996689598887e-03,NULL,'{"spent": 0.43940987899986794, "progress": 0.004741099668959889, "measured": {"distil": [0.43940987899986794, 0.015007167999999998]}}','[0.3333333333333333]','{}');
CREATE TABLE stages (
	run INTEGER NOT NULL, 
	stage VARCHAR NOT NULL, 
	started DATETIME NOT NULL, 
	seconds FLOAT, 
	cached BOOLEAN NOT NULL, 
	PRIMARY KEY (run, stage), 
	FOREIGN KEY(run) REFERENCES runs (number) ON DELETE CASCADE
);
INSERT INTO "stages" VALUES(1,'teach','2026-11-25 17:10:36.423477',1.56055734199981088e+00,0);
INSERT INTO "stages" VALUES(1,'record','2026-11-25 17:10:37.994738',0.0924859199999446,0);
INSERT INTO "stages" VALUES(1,'distil','2026-11-25 17:10:38.087808',4.59429701599992768e+00,0);
INSERT INTO "stages" VALUES(1,'validate','2026-11-25 17:10:42.682682',1.86073665700041601e+00,0);
INSERT INTO "stages" VALUES(3,'teach','2026-11-25 17:11:25.154272',1.73744759999863163e-02,1);
INSERT INTO "stages" VALUES(3,'record','2026-11-25 17:11:25.171750',7.77431699998487602e-03,1);
INSERT INTO "stages" VALUES(3,'distil','2026-11-25 17:11:25.179600',2.35773306999999476e+00,0);
INSERT INTO "stages" VALUES(3,'validate','2026-11-25 17:11:27.537480',2.16291384800024388e+00,0);
INSERT INTO "stages" VALUES(4,'teach','2026-11-25 17:12:18.998217',2.21700089996375027e-02,1);
INSERT INTO "stages" VALUES(4,'record','2026-11-25 17:12:19.021479',1.16751609998573258e-02,1);
INSERT INTO "stages" VALUES(4,'distil','2026-11-25 17:12:19.047276',NULL,0);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'search');
INSERT INTO "studies" VALUES(2,'search (student alone)');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',2,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'precision','"fp32"');
INSERT INTO "study_user_attributes" VALUES(2,1,'fingerprint','"cb6fff6da588cddac6e8c424bd3fd9dea9ba6f1ea37b76a7e4b9860f13dee410"');
INSERT INTO "study_user_attributes" VALUES(3,1,'config','{"study": "search", "distill": {"task": {"name": "/srv/kd/support-messages.csv", "text_column": null, "label_column": null, "test_file": null, "transfer_file": null, "encoding": null, "delimiter": null, "drop_empty": false, "merge_labels": false, "drop_overlap": false, "transfer_texts": 12000, "split_seed": 0, "max_length": 16}, "teacher": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "scratch", "epochs": 2, "batch_size": 32, "learning_rate": "auto", "freeze_embeddings": true, "seed": 0}, "student": {"layers": 1, "hidden": 8, "heads": 1, "intermediate": "auto", "model": "custom", "init": "auto", "trim_vocabulary": true, "freeze_embeddings": false}, "objective": {"divergence": "forward_kl", "temperature": 4.0, "alpha": 0.3, "t_squared": true, "dkd_target_weight": 1.0, "dkd_other_weight": 8.0, "hidden_weight": 0.0, "cosine_weight": 0.0, "attention_weight": 0.0, "relation_weight": 0.0}, "training": {"steps": 6, "batch_size": 32, "transfer_batch_size": 32, "learning_rate": "auto", "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": "auto", "seeds": [0], "precision": "fp32", "report_to": []}, "controls": {"labelled_only": true, "shifted": true, "resamples": 100, "latency_repeats": 5}}, "temperatures": [1.0, 2.0], "alphas": [0.3], "learning_rates": [], "students": [], "divergences": [], "method": "grid", "trials": 20, "folds": 2, "pruning": "none", "workers": "auto"}');
INSERT INTO "study_user_attributes" VALUES(4,1,'teacher 0','{"accuracy": 0.3333333333333333, "seconds": 2.3394527230002495}');
INSERT INTO "study_user_attributes" VALUES(5,1,'teacher 1','{"accuracy": 0.3333333333333333, "seconds": 1.6581546700003855}');
INSERT INTO "study_user_attributes" VALUES(6,1,'run','"20261125-171124-e616"');
CREATE TABLE trainings (
	id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	who VARCHAR NOT NULL, 
	seed INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (run, who, seed), 
	FOREIGN KEY(run) REFERENCES runs (number) ON DELETE CASCADE
);
INSERT INTO "trainings" VALUES(1,1,'teacher',0);
INSERT INTO "trainings" VALUES(2,1,'student',0);
INSERT INTO "trainings" VALUES(3,1,'alone',0);
INSERT INTO "trainings" VALUES(4,3,'teacher',0);
INSERT INTO "trainings" VALUES(5,3,'student',0);
INSERT INTO "trainings" VALUES(6,3,'alone',0);
INSERT INTO "trainings" VALUES(7,4,'teacher',0);
INSERT INTO "trainings" VALUES(8,4,'student',0);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-11-25 17:11:08');
INSERT INTO "trial_heartbeats" VALUES(2,2,'2026-11-25 17:11:17');
INSERT INTO "trial_heartbeats" VALUES(3,3,'2026-11-25 17:11:21');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,2,0,3.33333333333333314e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,2,1,3.33333333333333314e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,3,0,3.33333333333333314e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,3,1,3.33333333333333314e-01,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,2,'temperature',1.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 2.0, "log": true}}');
INSERT INTO "trial_params" VALUES(2,3,'temperature',2.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 2.0, "log": true}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{}');
INSERT INTO "trial_system_attributes" VALUES(2,2,'fixed_params','{"temperature": 1.0}');
INSERT INTO "trial_system_attributes" VALUES(3,3,'fixed_params','{"temperature": 2.0}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'cell','0');
INSERT INTO "trial_user_attributes" VALUES(2,1,'setting','{"temperature": 4.0, "alpha": 1.0, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}');
INSERT INTO "trial_user_attributes" VALUES(3,2,'cell','0');
INSERT INTO "trial_user_attributes" VALUES(4,2,'setting','{"temperature": 1.0, "alpha": 0.3, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}');
INSERT INTO "trial_user_attributes" VALUES(5,3,'cell','1');
INSERT INTO "trial_user_attributes" VALUES(6,3,'setting','{"temperature": 2.0, "alpha": 0.3, "learning_rate": "auto", "student": "custom", "divergence": "forward_kl"}');
INSERT INTO "trial_user_attributes" VALUES(7,1,'owner','"example:23158:1795626648.9"');
INSERT INTO "trial_user_attributes" VALUES(8,1,'score 0 0','{"accuracy": 0.3333333333333333, "seconds": 2.397320598999613, "params": 6371, "teacher_texts": 0}');
INSERT INTO "trial_user_attributes" VALUES(9,1,'score 0 1','{"accuracy": 0.3333333333333333, "seconds": 1.9169776520002415, "params": 6363, "teacher_texts": 0}');
INSERT INTO "trial_user_attributes" VALUES(10,2,'owner','"example:23158:1795626648.9"');
INSERT INTO "trial_user_attributes" VALUES(11,2,'score 0 0','{"accuracy": 0.3333333333333333, "seconds": 2.053096374999768, "params": 6371, "teacher_texts": 36}');
INSERT INTO "trial_user_attributes" VALUES(12,2,'score 0 1','{"accuracy": 0.3333333333333333, "seconds": 1.5317452539998158, "params": 6363, "teacher_texts": 36}');
INSERT INTO "trial_user_attributes" VALUES(13,3,'owner','"example:23158:1795626648.9"');
INSERT INTO "trial_user_attributes" VALUES(14,3,'score 0 0','{"accuracy": 0.3333333333333333, "seconds": 1.671259826000096, "params": 6371, "teacher_texts": 36}');
INSERT INTO "trial_user_attributes" VALUES(15,3,'score 0 1','{"accuracy": 0.3333333333333333, "seconds": 1.5747110609995616, "params": 6363, "teacher_texts": 36}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,3.33333333333333314e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,3.33333333333333314e-01,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,3.33333333333333314e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,2,'COMPLETE','2026-11-25 17:11:08.607648','2026-11-25 17:11:17.211314');
INSERT INTO "trials" VALUES(2,0,1,'COMPLETE','2026-11-25 17:11:17.359659','2026-11-25 17:11:21.187946');
INSERT INTO "trials" VALUES(3,1,1,'COMPLETE','2026-11-25 17:11:21.275086','2026-11-25 17:11:24.705225');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE INDEX ix_runs_created ON runs (created);
CREATE INDEX ix_runs_status ON runs (status);
CREATE INDEX ix_events_run ON events (run);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
