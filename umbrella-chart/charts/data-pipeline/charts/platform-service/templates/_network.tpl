{{/*
Who may talk to whom: the release denies everything by default (umbrella chart), and each process opens what its values
name: `reaches` (outgoing) and `admits` (incoming). tests/charts/ checks that every edge is open at both of its ends.
*/}}

{{- define "platform-service.network-policies" -}}
{{- if dig "networkPolicy" "enabled" true (.Values.global | default dict) }}
{{- range $name, $process := .Values.processes }}
---
{{ include "platform-service.network-policy" (dict "chart" $ "name" $name "process" $process) }}
{{- end }}
---
{{ include "platform-service.network-policy" (dict "chart" $ "name" "migrate" "process" (dict "reaches" (list "postgres"))) }}
{{- end }}
{{- end }}

{{/* Context "process". */}}
{{- define "platform-service.network-policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "platform-service.process-name" . }}
  labels:
    {{- include "platform-service.labels" .chart | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  podSelector:
    matchLabels:
      {{- include "platform-service.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- $scrapers := dig "networkPolicy" "scrapeFrom" list (.chart.Values.global | default dict) }}
  {{- if or .process.admits (and $scrapers (ne .name "migrate")) }}
  ingress:
    {{- range .process.admits }}
    - ports: [{port: http, protocol: TCP}{{ include "platform-service.mesh-port" $.chart }}]
      {{- if ne . "anyone" }}
      from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
              app.kubernetes.io/instance: {{ $.chart.Release.Name }}
      {{- end }}
    {{- end }}
    {{- if and $scrapers (ne .name "migrate") }}
    - ports: [{port: ops, protocol: TCP}]
      from:
        {{- toYaml $scrapers | nindent 8 }}
    {{- end }}
  {{- end }}
  egress:
    # names: without this edge nothing else resolves
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: kube-system
          podSelector:
            matchLabels:
              k8s-app: kube-dns
      ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- range .process.reaches }}
    {{- include "platform-service.egress" (dict "chart" $.chart "peer" .) | nindent 4 }}
    {{- end }}
    {{- if and .process.files (eq .chart.Values.files.kind "s3") }}
    # the bucket
    - ports: {{ include "platform-service.ports" (list (include "platform-service.port-of" (.chart.Values.files.s3.endpoint | default "https://s3"))) }}
      {{- with .chart.Values.files.s3.peers }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- $mesh := include "platform-service.mesh" .chart }}
    {{- if and (has $mesh (list "linkerd" "istio-sidecar")) (ne .name "migrate") }}
    # the sidecar's own control plane: certificates, policies, where everybody is
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: {{ ternary "linkerd" "istio-system" (eq $mesh "linkerd") }}
      ports: [{{ ternary "{port: 8080, protocol: TCP}, {port: 8086, protocol: TCP}, {port: 8090, protocol: TCP}" "{port: 15012, protocol: TCP}" (eq $mesh "linkerd") }}]
    {{- end }}
    {{- if and (.chart.Values.global).otlpEndpoint (ne .name "migrate") }}
    # the trace collector, wherever it is
    - ports: [{port: {{ (urlParse .chart.Values.global.otlpEndpoint).host | regexFind ":[0-9]+$" | trimPrefix ":" | default "4318" }}, protocol: TCP}]
    {{- end }}
{{- end }}

{{/* Context: dict "chart" <chart> "peer" <name>. Its egress rules: one, or two for channels of which some are simulated. */}}
{{- define "platform-service.egress" -}}
{{- $global := .chart.Values.global | default dict }}
{{- $external := dig "networkPolicy" "external" dict $global }}
{{- $real := eq .peer "channels" | ternary (include "platform-service.channel-ports" .chart | fromJsonArray) list }}
{{- if and $real (.chart.Values.channels).peers }}
# real channels at addresses of ours
- to:
    {{- toYaml .chart.Values.channels.peers | nindent 4 }}
  ports: {{ include "platform-service.ports" $real }}
{{- else if or $real (eq .peer "internet") }}
# real channels, merchants' webhooks: public addresses only, so that a URL given by a merchant cannot reach inside
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
  ports: {{ include "platform-service.ports" ($real | default (list "443" "80")) }}
{{- end }}
{{- if and (eq .peer "postgres") (dig "database" "host" "" $global) }}
- ports: [{port: {{ dig "database" "port" 5432 $global }}, protocol: TCP}]
  {{- with $external.postgres }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- else if and (eq .peer "redis") (dig "redis" "host" "" $global) }}
- ports: [{port: {{ dig "redis" "port" 6379 $global }}, protocol: TCP}]
  {{- with $external.redis }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- else if not (or (eq .peer "internet") (and $real (not (.chart.Values.simulators).enabled))) }}
{{- $ports := dict "postgres" 5432 "redis" 6379 "payment-gateway" 8000 "risk-engine" 8001 "data-pipeline" 8002 "channels" 8003 }}
{{- $components := dict "postgres" "postgres" "redis" "redis" "channels" "channels" }}
- to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ ternary "payment-gateway" .peer (eq .peer "channels") }}
          app.kubernetes.io/instance: {{ .chart.Release.Name }}
          {{- with get $components .peer }}
          app.kubernetes.io/component: {{ . }}
          {{- end }}
        {{- if not (get $components .peer) }}
        matchExpressions:
          - {key: app.kubernetes.io/component, operator: In, values: [api, api-canary]}
        {{- end }}
  ports: [{port: {{ get $ports .peer }}, protocol: TCP}{{ include "platform-service.mesh-port" .chart }}]
{{- end }}
{{- end }}

{{/* Context: the chart. The ports of the real channels that its values name, as JSON; none while they are the simulators. */}}
{{- define "platform-service.channel-ports" -}}
{{- $ports := list }}
{{- range $name, $url := .Values.channels }}
{{- if and (kindIs "string" $url) $url }}
{{- $ports = append $ports (include "platform-service.port-of" $url) }}
{{- end }}
{{- end }}
{{- $ports | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Context: a URL. Its port, or that of its scheme. */}}
{{- define "platform-service.port-of" -}}
{{- (urlParse .).host | regexFind ":[0-9]+$" | trimPrefix ":" | default (hasPrefix "http://" . | ternary "80" "443") }}
{{- end }}

{{/* Context: port numbers. */}}
{{- define "platform-service.ports" -}}
[{{ range $n, $port := . }}{{ if $n }}, {{ end }}{port: {{ $port }}, protocol: TCP}{{ end }}]
{{- end }}
