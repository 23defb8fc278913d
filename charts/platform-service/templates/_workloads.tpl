{{/*
The processes of a service as Deployments, with their autoscalers and disruption budgets. Context: the chart.
*/}}
{{- define "platform-service.deployments" -}}
{{- range $name, $process := .Values.processes }}
{{- $me := dict "chart" $ "name" $name "process" $process }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
spec:
  {{- if not (or $process.autoscaling.enabled (include "platform-service.by-queue" $me)) }}
  # Absent under an autoscaler: Helm would set the number back at each upgrade, and with server-side apply fail.
  replicas: {{ $process.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 300
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
  template:
    {{- include "platform-service.pod" $me | nindent 4 }}
{{- end }}
{{- end }}

{{- define "platform-service.autoscalers" -}}
{{- range $name, $process := .Values.processes }}
{{- with $process.autoscaling }}
{{- if .enabled }}
{{- $me := dict "chart" $ "name" $name }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "platform-service.process-name" $me }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .cpuUtilization }}}
    # An amount, not a share of the request: Python gives memory back late, and a share of a small request would hold
    # the number of pods up for ever. It stands near the limit: more pods are better than one that is killed.
    - type: Resource
      resource:
        name: memory
        target: {type: AverageValue, averageValue: {{ .memory }}}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
      selectPolicy: Max
      policies:
        - {type: Percent, value: 100, periodSeconds: 15}
        - {type: Pods, value: 2, periodSeconds: 15}
    scaleDown:
      stabilizationWindowSeconds: {{ .scaleDownAfterSeconds }}
      policies:
        - {type: Pods, value: 1, periodSeconds: 30}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Only where more than one pod runs: a budget for a single pod would block every drain of its node. */}}
{{- define "platform-service.disruption-budgets" -}}
{{- range $name, $process := .Values.processes }}
{{- $me := dict "chart" $ "name" $name }}
{{- $fewest := ternary $process.autoscaling.minReplicas $process.replicas $process.autoscaling.enabled }}
{{- if include "platform-service.by-queue" (dict "chart" $ "process" $process) }}{{ $fewest = $process.queueScaling.minReplicas }}{{ end }}
{{- if gt (int $fewest) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "platform-service.selector" $me | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "platform-service.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
    app.kubernetes.io/component: api
spec:
  type: {{ .Values.service.type }}
  {{- with .Values.service.trafficDistribution }}
  # a caller's own zone while it has a ready pod
  trafficDistribution: {{ . }}
  {{- end }}
  selector:
    {{- include "platform-service.selector" (dict "chart" . "name" "api") | nindent 4 }}
  ports:
    - name: http
      port: {{ .Values.processes.api.port }}
      targetPort: http
      # said, so that no mesh has to guess it from the first bytes
      appProtocol: http
      {{- if and (eq .Values.service.type "NodePort") .Values.service.nodePort }}
      nodePort: {{ .Values.service.nodePort }}
      {{- end }}
{{- end }}

{{- define "platform-service.service-account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
# No process asks anything of the Kubernetes API.
automountServiceAccountToken: false
{{- end }}

{{/*
What Prometheus reads: a headless Service over the ops port of every process of the service, the ones that are not ready included (that is
when one looks), and the operator's object that points at it. Context: the chart.
*/}}
{{- define "platform-service.metrics" -}}
{{- $monitoring := (.Values.global).monitoring | default dict }}
{{- if $monitoring.serviceMonitors }}
{{- include "platform-service.needs" (dict "chart" . "api" "monitoring.coreos.com/v1" "what" "global.monitoring.serviceMonitors"
    "install" "helm install prometheus kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts") }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "platform-service.fullname" . }}-metrics
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
    app.kubernetes.io/component: metrics
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
  ports:
    - {name: ops, port: 9000, targetPort: ops}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "platform-service.fullname" . }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
    {{- with $monitoring.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ .Chart.Name }}
      app.kubernetes.io/instance: {{ .Release.Name }}
      app.kubernetes.io/component: metrics
  podTargetLabels: [app.kubernetes.io/component, app.kubernetes.io/version]
  endpoints:
    - port: ops
      path: /metrics
      interval: {{ $monitoring.interval | default "30s" }}
{{- end }}
{{- end }}

{{/* Context: dict "chart" <chart> "api" <group/version> "what" <value> "install" <command>. A kind that the cluster lacks is an error, not a silence. */}}
{{- define "platform-service.needs" -}}
{{- if not (.chart.Capabilities.APIVersions.Has .api) }}
{{- fail (printf "%s is on, but this cluster does not have %s. Install it: %s   (helm template: --api-versions %s)" .what .api .install .api) }}
{{- end }}
{{- end }}

{{/* "yes" where KEDA scales this process by its queue. Context "process". */}}
{{- define "platform-service.by-queue" -}}
{{- if and (dig "keda" "enabled" false (.chart.Values.global | default dict)) (dig "queueScaling" "enabled" false .process) }}yes{{ end }}
{{- end }}

{{/*
KEDA scales a worker by the length of its Celery queue, a list in Redis: a CPU says nothing about tasks that wait for somebody else. Context:
the chart.
*/}}
{{- define "platform-service.queue-scalers" -}}
{{- range $name, $process := .Values.processes }}
{{- $me := dict "chart" $ "name" $name "process" $process }}
{{- if include "platform-service.by-queue" $me }}
{{- include "platform-service.needs" (dict "chart" $ "api" "keda.sh/v1alpha1" "what" "global.keda.enabled" "install" "helm install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace") }}
{{- if $process.autoscaling.enabled }}
{{- fail (printf "%s: processes.%s has autoscaling and queueScaling: KEDA makes an autoscaler of its own, and two would pull at one Deployment" $.Chart.Name $name) }}
{{- end }}
{{- $redis := merge (dict) (($.Values.global).redis | default dict) (dict "port" 6379 "scheme" "redis" "database" 0) }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
spec:
  secretTargetRef:
    - {parameter: password, name: {{ include "platform-service.secret-name" $ }}, key: redis_password}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "platform-service.process-name" $me }}
  labels:
    {{- include "platform-service.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
spec:
  scaleTargetRef:
    name: {{ include "platform-service.process-name" $me }}
  # Never none: the worker also runs the schedule.
  minReplicaCount: {{ $process.queueScaling.minReplicas }}
  maxReplicaCount: {{ $process.queueScaling.maxReplicas }}
  pollingInterval: 15
  cooldownPeriod: 300
  # While Redis does not answer nobody knows the length: better some workers than as many as happened to be there.
  fallback: {failureThreshold: 4, replicas: {{ $process.queueScaling.minReplicas }}}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: 300
          policies:
            - {type: Pods, value: 1, periodSeconds: 60}
  triggers:
    - type: redis
      metadata:
        address: {{ printf "%s:%d" (($redis.host) | default (printf "%s-redis.%s.svc" $.Release.Name $.Release.Namespace)) (int $redis.port) | quote }}
        listName: {{ $process.queueScaling.queue }}
        listLength: {{ $process.queueScaling.length | quote }}
        databaseIndex: {{ $redis.database | quote }}
        enableTLS: {{ eq $redis.scheme "rediss" | quote }}
      authenticationRef:
        name: {{ include "platform-service.process-name" $me }}
{{- end }}
{{- end }}
{{- end }}
