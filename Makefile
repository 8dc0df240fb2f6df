# recast: `make retrain` and `make test` do all the set-up on a machine that has make and Python 3.11 or newer with venv.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := --numprocesses auto --maxprocesses 4 --dist worksteal  # ARGS="-n 0 -k a_word" for a single process

# Nothing calls out unless asked: Prefect and MLflow read this.
export DO_NOT_TRACK := true
# Where this is set, as in many containers, each process would compile TensorFlow, Prefect and MLflow anew: 13 s instead of 6.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help retrain predict check test test-real test-all kills release-kills fuzz heatmaps lint format lock schema gpu doctor serve mlflow serve-model prune up review watch deploy clean
.PHONY: bench-time bench-cleaned bench-castings bench-parts bench-camera bench-input bench-predict bench-gpu

help:  ## this list
	@awk -F ':.*## *' '/^[a-z-]+:.*##/ { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

retrain: .venv/run  ## retrain on the built-in sample; ARGS="--source castings.zip" for other images
	$(BIN)/python flows/retrain.py $(ARGS)

predict: .venv/run  ## judge images: make predict ARGS="photograph.jpeg folder"
	@$(BIN)/python flows/predict.py $(ARGS)

check: lint  ## after each edit: style, types, and the tests without TensorFlow, MLflow, servers and processes; a minute
	$(BIN)/pytest $(PARALLEL) -m "not (tensorflow or mlflow or server or process or real or long)" $(ARGS)

test: .venv/dev  ## all that proves recast on drawn images
	@echo "It takes some 20 minutes on two cores."
	$(BIN)/pytest $(PARALLEL) -m "not (real or long)" $(ARGS)

test-real: .venv/dev  ## on the real photographs of RECAST_ARCHIVE (the zip) and RECAST_ARRIVALS (a folder)
	$(BIN)/pytest $(PARALLEL) -m "real and not long" $(ARGS)

test-all: .venv/dev  ## everything, with coverage: kills, PostgreSQL, many cases, the tutorial's network; forty minutes to an hour
	$(BIN)/pytest $(PARALLEL) --hypothesis-profile=long --cov --cov-report=term-missing:skip-covered $(ARGS)

kills: .venv/run  ## 20 trainings killed at random moments, each of which must end as one left alone; some 20 minutes
	$(BIN)/python benchmarks/kills.py $(ARGS)

release-kills: .venv/run  ## 20 releases killed at random moments; the model in use must answer, and the next run end it; some 20 minutes
	$(BIN)/python benchmarks/release_kills.py $(ARGS)

fuzz: .venv/run  ## 100,000 damaged files of each format that is read, each of which may cost no more than its own refusal; an hour
	$(BIN)/python -W ignore benchmarks/fuzz.py $(ARGS)

heatmaps: .venv/run  ## share of the sample's defects whose heat map peaks on them; ARGS="--file model.keras" for a trained one
	$(BIN)/python benchmarks/heatmaps.py $(ARGS)

lint: .venv/dev  ## style, who may import whom, and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

format: .venv/dev  ## rewrite in the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Long series, run by hand: hours on two cores. ARGS="--source castings.zip --json FILE"; else RECAST_ARCHIVE, else the sample.
bench-time: .venv/run  ## the tutorial's recipe, compact and ring side by side from JPEG files on, three seeds
	$(BIN)/python benchmarks/time_to_accuracy.py --published --models tutorial,compact,ring,ring_kept --seeds 3 $(ARGS)

bench-cleaned: .venv/run  ## compact and ring with the test's copies held back, five seeds
	$(BIN)/python benchmarks/time_to_accuracy.py --models compact,ring --seeds 5 $(ARGS)

bench-castings: .venv/run  ## each network on castings that it never saw
	$(BIN)/python benchmarks/by_casting.py $(ARGS)

bench-parts: .venv/dev  ## networks beside simple baselines, by part; ARGS="--source tiles.zip --good MT_Free --parts tiles-parts.csv"
	$(BIN)/python benchmarks/any_part.py $(ARGS)

bench-camera: .venv/run  ## each network on photographs of a new camera set-up, those of RECAST_ARRIVALS
	$(BIN)/python benchmarks/new_camera.py --arrivals "$(RECAST_ARRIVALS)" $(ARGS)

bench-input: .venv/run  ## how long the network waits for its images
	$(BIN)/python benchmarks/input_pipeline.py $(ARGS)

bench-predict: .venv/run  ## one image and a folder, beside the tutorial's way and the bare decoder
	$(BIN)/python benchmarks/predict.py $(ARGS)

bench-gpu: .venv/run  ## what a GPU does, in eight minutes; ARGS="--short" tries all parts on the processors, ARGS="--device cpu" measures them
	$(BIN)/python benchmarks/gpu.py $(ARGS)

review: .venv/run  ## a page on which people label photographs and approve models, on port 8700; ARGS="--approver NAME"
	@$(BIN)/python flows/review.py $(ARGS)

watch: .venv/run  ## is there anything new to learn from? ARGS="--once --source castings.zip"
	@$(BIN)/python flows/watch.py $(ARGS)

gpu: .venv/run  ## the libraries that TensorFlow needs on an NVIDIA GPU, into the same virtual environment
	$(INSTALL) -r requirements-gpu.txt $(ARGS)
	$(BIN)/python deployments/link_gpu_libraries.py

doctor: .venv/run  ## what is there: versions, GPU, disk, server, credentials
	@$(BIN)/python flows/doctor.py

serve: .venv/run  ## a Prefect server with its pages, on port 4200; ARGS="--port 4201"
	@$(BIN)/python deployments/server.py $(ARGS)

mlflow: .venv/run  ## MLflow's pages on port 5000: runs, versions, what is in use; ARGS="--port 5002"
	@$(BIN)/python deployments/mlflow_server.py $(ARGS)

serve-model: .venv/run  ## the model in use answers on port 5001, by MLflow; ARGS="--version 2"
	@$(BIN)/python deployments/serve_model.py $(ARGS)

prune: .venv/run  ## remove what no version in use, before or waiting, and no kept run needs; ARGS="--keep-runs 20 --dry-run"
	@$(BIN)/python flows/prune.py $(ARGS)

up: .venv/run  ## server, workers, deployments and the review page on this machine until Ctrl-C: what arrives in data/inbox is learned; ARGS="--port 4201"
	@$(BIN)/python deployments/up.py $(ARGS)

deploy: .venv/run  ## work pools, the deployments of deployments/prefect.yaml and automations, on the server of PREFECT_API_URL; ARGS="--runs-in docker"
	$(BIN)/python deployments/deploy.py $(ARGS)

schema: .venv/run  ## docs/run.schema.json, the JSON schema of run.json
	$(BIN)/python -c "import json; from tasks.records.run import RunJson as R; print(json.dumps(R.model_json_schema(mode='serialization'), indent=2))" > docs/run.schema.json

lock: .venv/uv  ## resolve anew: requirements.txt, requirements-dev.txt, requirements-gpu.txt
	$(COMPILE) -o requirements.txt
	$(COMPILE) --group dev -o requirements-dev.txt
	$(COMPILE) --extra gpu -o requirements-gpu.txt

clean:  ## remove what is made again: all of data/ but the inbox and corrections.csv, caches, the virtual environment
	[ ! -d data ] || find data -mindepth 1 -maxdepth 1 ! -name inbox ! -name corrections.csv -exec rm -rf {} +
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find flows tasks tests -name __pycache__ -prune -exec rm -rf {} +

# A stamp is newer than the lock that it was installed from, so a second call installs nothing.
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --upgrade --quiet
INSTALL = $(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes

.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	touch $@

.venv/run: requirements.txt pyproject.toml | .venv/uv
	$(INSTALL) -r requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	touch $@

.venv/dev: requirements-dev.txt .venv/run | .venv/uv
	$(INSTALL) -r requirements-dev.txt
	touch $@
