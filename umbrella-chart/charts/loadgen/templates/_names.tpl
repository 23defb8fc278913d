{{- define "loadgen.fullname" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name }}
{{- end }}

{{- define "loadgen.version" -}}
{{- coalesce ((.Values.app).version) (((.Values.global).app).version) .Chart.AppVersion }}
{{- end }}

{{/* As platform-service.image: a digest carries the version that it belongs to. */}}
{{- define "loadgen.image" -}}
{{- $version := include "loadgen.version" . }}
{{- $name := printf "%s:%s" .Values.image.repository $version }}
{{- with ((.Values.global).image).registry }}
{{- $name = printf "%s/%s" . $name }}
{{- end }}
{{- with .Values.app.digest }}
{{- if .sha256 }}
{{- if ne .version $version }}
{{- fail (printf "loadgen: app.digest belongs to version %q, but version %q is to be deployed" .version $version) }}
{{- end }}
{{- $name = printf "%s@sha256:%s" $name .sha256 }}
{{- end }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "loadgen.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "loadgen.version" . | quote }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Context: dict "chart" <chart> "name" <master or worker>. */}}
{{- define "loadgen.selector" -}}
app.kubernetes.io/name: {{ .chart.Chart.Name }}
app.kubernetes.io/instance: {{ .chart.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "loadgen.pod-settings" -}}
serviceAccountName: {{ include "loadgen.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with ((.Values.global).image).pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "loadgen.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Names: without this edge nothing else resolves. */}}
{{- define "loadgen.dns" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}

{{/* Context: dict "chart" <chart> "name" <chart's name> "component" <process>. Labels of a pod of the release. */}}
{{- define "loadgen.peer" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .chart.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}
