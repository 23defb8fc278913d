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
  {{- if not $process.autoscaling.enabled }}
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
{{- if gt (int (ternary $process.autoscaling.minReplicas $process.replicas $process.autoscaling.enabled)) 1 }}
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
