const DEPTH:u32=2u;
fn decoded(raw:vec4<u32>,step:u32)-> vec4<f32> {
let x=unpack2x16float(raw.x);
let y=unpack2x16float(raw.y);
let z=unpack2x16float(raw.z);
let w=unpack2x16float(raw.w);
return select(vec4<f32>(x.x,y.x,z.x,w.x),vec4<f32>(x.y,y.y,z.y,w.y),step==1u);
}
alias Scale=u32;
fn head_texels(k:u32)-> u32{
return 0u;
}
fn new_block(k:u32)-> bool{
return false;
}
fn scale_at(head:u32,k:u32,quad:u32)-> Scale{
return Scale();
}
fn scaled(codes:vec4<f32>,scale:Scale)-> vec4<f32> {
return codes;
}
alias Row=u32;
alias Term=u32;
fn row_at(z:u32,m:u32)-> Row{
return params.x_offset+dot(batch_of(z),params.x_batch_stride.xyz)+m*params.x_stride_m;
}
fn next_term(term:Term)-> Term{
return term+params.x_stride_k;
}
fn x_at(row:Row,term:Term,inside:bool)-> f32{
return select(0.0,x[row+select(0u,term,inside)],inside);
}
const ROWS:u32=4u;
const PANELS:u32=1u;
const COLUMNS:u32=PANELS*PANEL;
const TILE_M:u32=16u*ROWS;
const TILE_N:u32=4u*COLUMNS;
@compute@workgroup_size(16,4)
fn main(@builtin(workgroup_id)group:vec3<u32>,@builtin(local_invocation_id)local:vec3<u32>){
let z=group.z;
let m=group.x*TILE_M+(local.x >> 3u)*(8u*ROWS)+(local.x&7u);
let panel=(group.y*4u+local.y)*PANELS;
let active_invocation=m < params.m&&panel*PANEL < params.n_count;
let pages=page_size();
let row0=row_at(z,min(m,params.m-1u));
let row1=row_at(z,min(m+8u,params.m-1u));
let row2=row_at(z,min(m+16u,params.m-1u));
let row3=row_at(z,min(m+24u,params.m-1u));
let away0=select(0u,0u*panel_texels(),(panel)*PANEL < params.n_count);
var acc0_0=vec4<f32>();
var acc0_1=vec4<f32>();
var acc0_2=vec4<f32>();
var acc0_3=vec4<f32>();
var acc0_4=vec4<f32>();
var acc0_5=vec4<f32>();
var acc0_6=vec4<f32>();
var acc0_7=vec4<f32>();
var acc1_0=vec4<f32>();
var acc1_1=vec4<f32>();
var acc1_2=vec4<f32>();
var acc1_3=vec4<f32>();
var acc1_4=vec4<f32>();
var acc1_5=vec4<f32>();
var acc1_6=vec4<f32>();
var acc1_7=vec4<f32>();
var acc2_0=vec4<f32>();
var acc2_1=vec4<f32>();
var acc2_2=vec4<f32>();
var acc2_3=vec4<f32>();
var acc2_4=vec4<f32>();
var acc2_5=vec4<f32>();
var acc2_6=vec4<f32>();
var acc2_7=vec4<f32>();
var acc3_0=vec4<f32>();
var acc3_1=vec4<f32>();
var acc3_2=vec4<f32>();
var acc3_3=vec4<f32>();
var acc3_4=vec4<f32>();
var acc3_5=vec4<f32>();
var acc3_6=vec4<f32>();
var acc3_7=vec4<f32>();
let head=weights_of(z)+panel*panel_texels();
var texel=head+head_texels(params.k);
let texel_end=texel+select(0u,panel_rows()*PANEL_QUADS,active_invocation);
var k=0u;
var term=Term();
var scale0=Scale();
var scale1=Scale();
var scale2=Scale();
var scale3=Scale();
var scale4=Scale();
var scale5=Scale();
var scale6=Scale();
var scale7=Scale();
for(;texel < texel_end;texel+=PANEL_QUADS){
if(new_block(k)){
scale0=scale_at(head+away0,k,0u%PANEL_QUADS);
scale1=scale_at(head+away0,k,1u%PANEL_QUADS);
scale2=scale_at(head+away0,k,2u%PANEL_QUADS);
scale3=scale_at(head+away0,k,3u%PANEL_QUADS);
scale4=scale_at(head+away0,k,4u%PANEL_QUADS);
scale5=scale_at(head+away0,k,5u%PANEL_QUADS);
scale6=scale_at(head+away0,k,6u%PANEL_QUADS);
scale7=scale_at(head+away0,k,7u%PANEL_QUADS);
}
let at0=place_of(texel+away0,pages);
let raw0=textureLoad(weights,vec2<u32>(at0.x,at0.y),at0.z,0);
let raw1=textureLoad(weights,vec2<u32>(at0.x+1u,at0.y),at0.z,0);
let raw2=textureLoad(weights,vec2<u32>(at0.x+2u,at0.y),at0.z,0);
let raw3=textureLoad(weights,vec2<u32>(at0.x+3u,at0.y),at0.z,0);
let raw4=textureLoad(weights,vec2<u32>(at0.x+4u,at0.y),at0.z,0);
let raw5=textureLoad(weights,vec2<u32>(at0.x+5u,at0.y),at0.z,0);
let raw6=textureLoad(weights,vec2<u32>(at0.x+6u,at0.y),at0.z,0);
let raw7=textureLoad(weights,vec2<u32>(at0.x+7u,at0.y),at0.z,0);
for(var step=0u;step < DEPTH;step+=1u){
let inside=DEPTH==1u||k+step < params.k;
let xs0=x_at(row0,term,inside);
let xs1=x_at(row1,term,inside);
let xs2=x_at(row2,term,inside);
let xs3=x_at(row3,term,inside);
let w0=scaled(decoded(raw0,step),scale0);
acc0_0+=xs0*w0;
acc1_0+=xs1*w0;
acc2_0+=xs2*w0;
acc3_0+=xs3*w0;
let w1=scaled(decoded(raw1,step),scale1);
acc0_1+=xs0*w1;
acc1_1+=xs1*w1;
acc2_1+=xs2*w1;
acc3_1+=xs3*w1;
let w2=scaled(decoded(raw2,step),scale2);
acc0_2+=xs0*w2;
acc1_2+=xs1*w2;
acc2_2+=xs2*w2;
acc3_2+=xs3*w2;
let w3=scaled(decoded(raw3,step),scale3);
acc0_3+=xs0*w3;
acc1_3+=xs1*w3;
acc2_3+=xs2*w3;
acc3_3+=xs3*w3;
let w4=scaled(decoded(raw4,step),scale4);
acc0_4+=xs0*w4;
acc1_4+=xs1*w4;
acc2_4+=xs2*w4;
acc3_4+=xs3*w4;
let w5=scaled(decoded(raw5,step),scale5);
acc0_5+=xs0*w5;
acc1_5+=xs1*w5;
acc2_5+=xs2*w5;
acc3_5+=xs3*w5;
let w6=scaled(decoded(raw6,step),scale6);
acc0_6+=xs0*w6;
acc1_6+=xs1*w6;
acc2_6+=xs2*w6;
acc3_6+=xs3*w6;
let w7=scaled(decoded(raw7,step),scale7);
acc0_7+=xs0*w7;
acc1_7+=xs1*w7;
acc2_7+=xs2*w7;
acc3_7+=xs3*w7;
term=next_term(term);
}
k+=DEPTH;
}
if(active_invocation){
let out_base=out_base_of(z,0u);
for(var q=0u;q < PANELS*PANEL_QUADS;q+=1u){
for(var r=0u;r < ROWS;r+=1u){
for(var c=0u;c < 4u;c+=1u){
store(out_base,z,m+r*8u,panel*PANEL+4u*q+c,acc0_0.x);
acc0_0=acc0_0.yzwx;
}
let acc_turned0=acc0_0;
acc0_0=acc1_0;
acc1_0=acc2_0;
acc2_0=acc3_0;
acc3_0=acc_turned0;
}
let acc_turned0=acc0_0;
acc0_0=acc0_1;
acc0_1=acc0_2;
acc0_2=acc0_3;
acc0_3=acc0_4;
acc0_4=acc0_5;
acc0_5=acc0_6;
acc0_6=acc0_7;
acc0_7=acc_turned0;
let acc_turned1=acc1_0;
acc1_0=acc1_1;
acc1_1=acc1_2;
acc1_2=acc1_3;
acc1_3=acc1_4;
acc1_4=acc1_5;
acc1_5=acc1_6;
acc1_6=acc1_7;
acc1_7=acc_turned1;
let acc_turned2=acc2_0;
acc2_0=acc2_1;
acc2_1=acc2_2;
acc2_2=acc2_3;
acc2_3=acc2_4;
acc2_4=acc2_5;
acc2_5=acc2_6;
acc2_6=acc2_7;
acc2_7=acc_turned2;
let acc_turned3=acc3_0;
acc3_0=acc3_1;
acc3_1=acc3_2;
acc3_2=acc3_3;
acc3_3=acc3_4;
acc3_4=acc3_5;
acc3_5=acc3_6;
acc3_6=acc3_7;
acc3_7=acc_turned3;
}
}
}
struct Params{
m:u32,n_count:u32,k:u32,weight_base:u32,
n0:u32,page_shift:u32,batch_1:u32,batch_2:u32,
x_offset:u32,x_stride_m:u32,x_stride_k:u32,out_offset:u32,
out_stride_m:u32,out_stride_n:u32,parts:u32,part:u32,
x_batch_stride:vec3<u32>,x_scale:f32,
out_batch_stride:vec4<u32>,
operands:array<vec4<u32>,4>,
slots:array<vec4<u32>,16>,
}
fn weights_of(z:u32)-> u32{
return params.weight_base;
}
@group(0)@binding(0)var<uniform> params:Params;
@group(0)@binding(2)var<storage,read_write> out:array<f32>;
@group(0)@binding(3)var<storage,read_write> x:array<f32>;
fn batch_of(z:u32)-> vec3<u32> {
return vec3<u32>(z/(params.batch_1*params.batch_2),(z/params.batch_2)%params.batch_1,z%params.batch_2);
}
fn out_base_of(z:u32,part:u32)-> u32{
return params.out_offset+dot(batch_of(z),params.out_batch_stride.xyz)+part*params.out_batch_stride.w;
}
fn store(out_base:u32,z:u32,m:u32,column:u32,value:f32){
if(m < params.m&&column < params.n_count){
let n=params.n0+column;
out[out_base+m*params.out_stride_m+n*params.out_stride_n]=epilogue(value,z,m,n);
}
}
@group(0)@binding(1)var weights:texture_2d_array<u32>;
const PAGE_WIDTH:u32=256u;
fn page_size()-> vec2<u32> {
return vec2<u32>(params.page_shift,(1u << params.page_shift)-1u);
}
fn place_of(texel:u32,size:vec2<u32>)-> vec3<u32> {
let page=texel >> size.x;
let in_page=texel&size.y;
return vec3<u32>(in_page&(PAGE_WIDTH-1u),in_page/PAGE_WIDTH,params.slots[page >> 2u][page&3u]);
}
fn weight_texel(texel:u32)-> vec4<u32> {
let place=place_of(texel,page_size());
return textureLoad(weights,place.xy,place.z,0);
}
fn weight_quad(base:u32,row:u32,width:u32,quad:u32)-> vec4<f32> {
return decoded(weight_texel(base+row/DEPTH*width+quad),row%DEPTH);
}
const PANEL:u32=32u;
const PANEL_QUADS:u32=PANEL/4u;
fn panel_rows()-> u32{
return(params.k+DEPTH-1u)/DEPTH;
}
fn panel_texels()-> u32{
return head_texels(params.k)+panel_rows()*PANEL_QUADS;
}
fn panel_texel(first:u32,row:u32)-> vec4<u32> {
let texel=weight_texel(first+min(row,panel_rows()-1u)*PANEL_QUADS);
return select(vec4<u32>(),texel,row < panel_rows());
}
fn epilogue(value:f32,batch:u32,m:u32,n:u32)-> f32{
return value;
}
