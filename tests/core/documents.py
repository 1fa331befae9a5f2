"""A project file that uses every key, and what turns it into another one."""

from __future__ import annotations

FULL = """\
name: flight-delay
provider: local
targets:
  prod-aws: {provider: sagemaker, region: eu-west-1, role: "arn:aws:iam::1:role/x", bucket: models}
  staging: {provider: vertex, project: p, region: us-central1}
prepare:
  code: src
  command: "python prepare.py --out ${{outputs.data}} --seed ${{params.seed}}"
  framework: sklearn@1.7
  requirements: requirements.txt
  inputs: {raw: "s3://bucket/raw/*.parquet"}
  outputs: [data]
  params: {seed: 7}
  envs: {TZ: UTC}
  secrets: [WEATHER_API_KEY]
  resources: {cpus: 2, memory: 8+, disk_size: 50}
  timeout: 30m
  retries: 2
train:
  code: src
  command: python train.py --data ${{inputs.train}} --lr ${{params.lr}} --out ${{outputs.extra}}
  framework: sklearn@1.7
  requirements: requirements.txt
  inputs:
    train: "${{prepare.outputs.data}}/train.parquet"
    weather: https://example.org/weather.csv
  outputs: [extra]
  params: {lr: 0.1, depth: 6, name: "a b", fast: true, none: null}
  envs: {TZ: UTC, EMPTY: ""}
  secrets: [WEATHER_API_KEY, OTHER_KEY]
  resources:
    cpus: 4+
    memory: 16+
    accelerators: "T4:1"
    use_spot: false
    num_nodes: 1
    disk_size: 50
    instance_type: null
  timeout: 2h
  retries: 1
evaluate:
  command: python evaluate.py --model ${{inputs.model}} --data ${{inputs.test}}
  image: registry.example.org/eval:1
  inputs: {test: "${{train.outputs.extra}}/test.parquet"}
  outputs: [plots]
  model: ${{train.model}}
  require: {auc: ">= 0.70", loss: "< 1e-1"}
deploy:
  endpoint: flight-delay
  model: ${{train.model}}
  predictor: src/predictor.py
  framework: sklearn@1.7
  requirements: requirements.txt
  envs: {LEVEL: info}
  secrets: [TOKEN]
  resources: {cpus: 2, memory: 4, accelerators: "A100:8", instance_type: big}
  min_replicas: 1
  max_replicas: 2
  traffic: {canary: 10%, bake: 5m}
  readiness_timeout: 5m
  capture: {sample: 100%}
  auth: token
monitor:
  endpoint: flight-delay
  reference: ${{inputs.train}}
  label: late
  checks:
    drift: {psi: 0.2, ks: 0.1, js: 0.1, chi2_pvalue: 0.01, significance: 0.001}
    quality: {missing: 5%, types: 1%, range: 1%, new_categories: 2%, duplicates: 10%}
    latency_p99: 200ms
    errors: 1%
  replay: {june: "${{prepare.outputs.data}}/june.parquet", july: "${{prepare.outputs.data}}/july.parquet"}
overrides:
  sagemaker: {train: {volume_kms_key: alias/x, tags: [a, b]}}
"""

#: The smallest project with a step.
SMALL = "name: x\ntrain:\n  command: python train.py\n"
